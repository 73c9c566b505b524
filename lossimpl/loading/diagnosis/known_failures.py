"""The failures that are recognised by the error message, with cause and advice: one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A pattern of the error message, with the status, the cause and the advice.

    `of_torch`: the message has this meaning only where no code of the user's raised it.
    """

    pattern: str
    status: str
    cause: str
    advice: str
    of_torch: bool = False


KNOWN = (
    Known(
        r"DataLoader timed out after",
        "timeout",
        "no batch came within the `timeout` argument",
        "find what hangs in the dataset; where only the first batch is slow, raise `timeout`, which also counts for it",
    ),
    Known(
        r"unable to (allocate|open|write|resize).*shared memory|shm_open|/torch_\d+.*No space left on device",
        "crashed",
        "shared memory is exhausted",
        "fewer workers, a smaller prefetch_factor or smaller batches; in a container, --shm-size or --ipc=host",
    ),
    Known(
        r"Too many open files|received \d+ items of ancdata|EMFILE|ENFILE",
        "error",
        "no file descriptor is left",
        "raise `ulimit -n`, close files in the dataset, or torch.multiprocessing.set_sharing_strategy('file_system')",
    ),
    Known(
        r"MemoryError|[Cc]an't allocate memory|[Cc]annot allocate memory|not enough memory|Unable to allocate"
        r"|std::bad_alloc|CUDA out of memory|OutOfMemoryError",
        "error",
        "memory is exhausted",
        "smaller batches, fewer workers, a smaller prefetch_factor; metadata as numpy arrays instead of lists",
    ),
    Known(
        r"daemonic processes are not allowed to have children",
        "error",
        "the dataset starts processes inside a worker, such as a loader of its own",
        "workers may have no children: use num_workers=0 for the loader inside, or threads",
    ),
    Known(
        r"fork\(\) called from a process already using GNU OpenMP|libgomp: Thread creation failed",
        "crashed",
        "OpenMP was used before the workers were forked",
        "call what runs OpenMP threads (such as numba) in workers only, or use multiprocessing_context='spawn'",
    ),
    Known(
        r"__getitems__: returned \d+ samples for|in default_collate[\s\S]*KeyError: 0$|^KeyError: 0\b",
        "error",
        "`__getitems__` does not return a list of samples",
        "return a list of one sample per index; columns (a dict of lists) need a collate_fn that takes columns",
    ),
    Known(
        r"EOF when reading a line|reading from stdin",
        "error",
        "the dataset asks for input",
        "nobody can answer in a worker: pass what it asks for as an argument",
    ),
    Known(
        r"killed by signal|exited unexpectedly|Connection(Reset|Refused|Aborted)Error|BrokenPipeError|EOFError",
        "crashed",
        "a worker died",
        "killed: most often out of memory, so use fewer workers or a smaller prefetch_factor; otherwise run with "
        "num_workers=0 to see the error itself",
        of_torch=True,
    ),
    Known(
        r"[Cc]an't pickle|[Cc]annot pickle|Can't get (local object|attribute)|PicklingError|not picklable"
        r"|should only be shared between processes|refusing to serialize non-leaf tensor",
        "error",
        "something cannot be sent between processes",
        "spawn and forkserver pickle dataset, collate_fn and worker_init_fn: put functions and classes at the top of a "
        "module and open handles in the worker, or use fork; samples and exceptions are pickled on their way back, so "
        "detach tensors from any graph",
        of_torch=True,
    ),
    Known(
        r"num_samples should be a positive integer value, but got num_samples=0",
        "error",
        "no data: the dataset is empty",
        "check the path or the filter that the dataset is made from",
    ),
    Known(
        r"stack expects each tensor to be equal size|storage that is not resizable"
        r"|all input arrays must have the same shape|inhomogeneous shape",
        "error",
        "the samples of a batch differ in shape (ragged)",
        "pad or crop them in the dataset, or pass a collate_fn that pads",
    ),
    Known(
        r"each element in list of batch should be of equal size",
        "error",
        "the samples of a batch differ in their number of fields",
        "return as many fields for every sample, with lists padded to one length, or pass a collate_fn",
    ),
    Known(
        r"batch must contain tensors.*NoneType|but got NoneType",
        "error",
        "a sample is None",
        "filter such samples out before the loader sees them, or return a valid sample",
    ),
    Known(
        r"batch must contain tensors|new\(\): data must be a sequence|too many dimensions|must be real number",
        "error",
        "the samples are of a type, or of mixed types, that the collate function cannot join",
        "return tensors, arrays, numbers, text or containers of them, alike for all samples, or pass a collate_fn",
    ),
    Known(
        r"generator raised StopIteration",
        "error",
        "a generator in the dataset raised StopIteration",
        "use `return` to end a generator",
    ),
)
