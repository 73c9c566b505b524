"""Compile the kernels for compute capability 9.0 without a GPU, and print a JSON line per kernel about the result.

test_triton_compile.py runs this in a process in which Triton does not interpret. Every branch that a launch can choose
by its constants is compiled at least once, in one of two groups, since the compiler sees no others.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from lossimpl.kernels.triton import classes, elementwise, pointwise, probabilities, reduce, triplet, tuning

HOPPER = GPUTarget("cuda", 90, 32)
ITEM_BYTES = {"bf16": 2, "fp32": 4, "fp64": 8}
COMPUTE = {"bf16": "fp32", "fp32": "fp32", "fp64": "fp64"}
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"


def report(label, kernel, arguments, constants, warps=4, debug=False, maxnreg=None):
    """Compile, and print registers per thread, bytes of stack (spills), and widths of global loads and stores.

    Also the number of elements of each load that waits for other programs to write. `arguments` maps names to Triton
    types, tuples of them for tuples; other arguments are constants, None unless `constants` has them. Pointers are
    assumed to be 16-byte aligned, as torch's allocations are.
    """
    signature, values, hints = {}, {}, {}
    for place, name in enumerate(kernel.arg_names):
        signature[name] = kinds = arguments.get(name, "constexpr")
        for path, kind in leaves(place, kinds):
            if kind == "constexpr":
                values[path] = constants.get(name) if len(path) == 1 else None
            elif kind.startswith("*"):
                hints[path] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constexprs=values, attrs=hints)
    options = {"num_warps": warps, "maxnreg": maxnreg} | ({"debug": True, "sanitize_overflow": False} if debug else {})
    made = triton.compile(source, target=HOPPER, options=options)
    registers, stack = usage(made.asm["cubin"])
    moves = re.findall(r"(?:ld|st)\.global[\w.:]*", made.asm["ptx"])
    waits = [int(count) for count in re.findall(r"isVolatile = true.*?: tensor<(\d+)x!tt.ptr", made.asm["ttir"])]
    found = {"kernel": label, "registers": registers, "stack": stack, "moves": moves, "warps": warps, "waits": waits}
    print(json.dumps(found), flush=True)


def leaves(place, kinds):
    """The paths of the scalar parts of an argument, with their types."""
    if isinstance(kinds, str):
        return [((place,), kinds)]
    return [((place, *path), kind) for k, one in enumerate(kinds) for path, kind in leaves(k, one)]


def usage(cubin):
    """Registers per thread and bytes of stack, as cuobjdump reports them for the machine code."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        found = subprocess.run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in re.search(r"REG:(\d+) STACK:(\d+)", found).groups())


def row_constants(dtype, width):
    tile = tuning.row_tile(width, ITEM_BYTES[dtype])
    edges = width % tile.vector != 0
    return {"EDGES": edges, "COMPUTE": getattr(tl, COMPUTE[dtype].replace("fp", "float")), "LANES": tile.lanes,
            "VECTOR": tile.vector}, tile.warps  # fmt: skip


def class_rows(label, dtype, width, pointers=("divisor_ptr", "loss_ptr", "grad_ptr"), ones=(), **constants):
    """Loss and gradient of the mean, unless `pointers` names other outputs."""
    constants, warps = {"FOCAL": False, "SMOOTH": False, "FIRST_READ": "evict_last", "COUNT": 0} | constants, 0
    tile, warps = row_constants(dtype, width)
    constants |= tile | {"WHOLE": tuning.stays_on_chip(width, ITEM_BYTES[dtype])} | dict.fromkeys(ones, 1)
    whole = constants["SMOOTH"] or dtype == "fp64" or "grad_ptr" not in pointers
    constants |= {"WAIT": True, "PARTS": 1 if whole else tuning.row_parts(width, ITEM_BYTES[dtype], 132)}
    kinds = dict.fromkeys(("x_ptr", "weight_ptr", "grad_ptr", "upstream_ptr"), "*" + dtype)
    kinds |= dict.fromkeys(("divisor_ptr", "loss_ptr"), "*" + COMPUTE[dtype])
    arguments = {"x_ptr": "*" + dtype, "target_ptr": "*i64"} | {name: kinds[name] for name in pointers}
    if constants["PARTS"] > 1:
        arguments["workspace_ptr"] = "*i64"
    integers = ("width", "x_stride", "upstream_stride", "ignore_index")
    arguments |= {name: "i32" for name in integers if name not in ones}
    arguments |= dict.fromkeys(("smoothing", "alpha", "gamma"), "fp64")
    most = None if constants["SMOOTH"] or dtype == "fp64" else tuning.ROW_REGISTERS
    report(f"{label} {dtype} {width}", classes.class_rows_kernel, arguments, constants, warps, True, most)


def probability_rows(label, dtype, width, pointers=("loss_ptr", "grad_x_ptr"), ones=(), **constants):
    tile, warps = row_constants(dtype, width)
    kinds = dict.fromkeys(("x_ptr", "t_ptr", "grad_x_ptr", "grad_t_ptr", "weight_ptr", "upstream_ptr"), "*" + dtype)
    kinds |= {"loss_ptr": "*" + COMPUTE[dtype]}
    arguments = {name: kinds[name] for name in ("x_ptr", "t_ptr", *pointers)}
    integers = ("width", "x_stride", "t_stride", "upstream_stride")
    arguments |= {name: "i32" for name in integers if name not in ones}
    arguments |= dict.fromkeys(("smoothing", "factor"), "fp64")
    constants = {"ALIKE": True, "FIRST_READ": "evict_last"} | constants | tile | dict.fromkeys(ones, 1)
    report(f"{label} {dtype} {width}", probabilities.probability_rows_kernel, arguments, constants, warps)


def pointwise_loss(name, dtype, operands="xt", outputs="x", strided=False, ones=(), scalars=("partial_ptr",)):
    """`operands` of x, t, w(eight), p(os_weight), u(pstream); `outputs` of l(oss), x, t: the gradients."""
    asked = [key in operands for key in "xtwpu"] + [key in outputs for key in "lxt"]
    pointers = tuple("*" + dtype if one else "constexpr" for one in asked)
    strides = tuple(("i32", "i32", "i32") if strided and one else "constexpr" for one in asked)
    arguments = {"pointers": pointers, "n": "i32", "strides": strides} | dict.fromkeys(scalars, "*" + COMPUTE[dtype])
    arguments |= dict.fromkeys(("factor", "first", "second"), "fp64") | (
        {"sizes": ("i32", "i32", "i32")} if strided else {}
    )
    arguments = {key: kind for key, kind in arguments.items() if key not in ones}
    heavy = name.split()[0] in tuning.HEAVY
    constants = dict.fromkeys(ones, 1) | {
        "POINT": pointwise.POINTS[name], "DIMENSIONS": 3 if strided else 0, "VECTOR": 16 // ITEM_BYTES[dtype],
        "COMPUTE": getattr(tl, COMPUTE[dtype].replace("fp", "float")),
        "BLOCK": tuning.HEAVY_BLOCK if heavy else tuning.ELEMENTWISE_BLOCK,
    }  # fmt: skip
    label = f"{name} {dtype}" + (" strided" if strided else "")
    debug = name.split()[0] == "binary_cross_entropy"
    report(label, elementwise.elementwise_kernel, arguments, constants, tuning.ELEMENTWISE_WARPS, debug)


def triplets(dtype, width, norm, swap, grads=("grad_a_ptr", "grad_p_ptr", "grad_n_ptr", "loss_ptr"), ones=()):
    columns = min(tuning.power_of_two(width), tuning.TRIPLET_TILE)
    kinds = dict.fromkeys(("grad_a_ptr", "grad_p_ptr", "grad_n_ptr", "upstream_ptr"), "*" + dtype)
    kinds |= {"loss_ptr": "*" + COMPUTE[dtype]}
    arguments = dict.fromkeys(("a_ptr", "p_ptr", "n_ptr"), "*" + dtype) | {name: kinds[name] for name in grads}
    integers = ("count", "width", "a_stride", "p_stride", "n_stride", "upstream_stride")
    arguments |= {name: "i32" for name in integers if name not in ones}
    arguments |= dict.fromkeys(("margin", "p", "eps", "factor"), "fp64")
    constants = dict.fromkeys(ones, 1) | {
        "NORM": norm, "SWAP": swap, "COMPUTE": getattr(tl, COMPUTE[dtype].replace("fp", "float")), "WIDTH": columns,
        "ROWS": tuning.TRIPLET_TILE // columns, "WHOLE": width <= columns,
    }  # fmt: skip
    label = f"triplet {dtype} {width} norm {norm} swap {swap}"
    report(label, triplet.triplet_kernel, arguments, constants, tuning.TRIPLET_WARPS)


def reductions():
    block = {"BLOCK": tuning.REDUCE_BLOCK}
    for divisor in ({}, {"divisor_ptr": "*fp32"}):
        arguments = {"partial_ptr": "*fp32", "out_ptr": "*bf16", "n": "i32", "factor": "fp64"} | divisor
        report("finish", reduce.finish_kernel, arguments, block, tuning.REDUCE_WARPS)
    report(
        "finish one",
        reduce.finish_kernel,
        {"partial_ptr": "*fp64", "out_ptr": "*fp64", "factor": "fp64"},
        {"n": 1, "BLOCK": 1},
    )
    report("partial sum", reduce.partial_sum_kernel, {"values_ptr": "*fp32", "partial_ptr": "*fp32", "n": "i32"}, block)
    targets = {"target_ptr": "*i64", "partial_ptr": "*fp32"} | dict.fromkeys(
        ("n", "ignore_index", "classes", "blocks"), "i32"
    )
    for weight in ({}, {"weight_ptr": "*bf16"}):
        report("valid weight", reduce.valid_weight_kernel, targets | weight, block, tuning.REDUCE_WARPS)
    del targets["blocks"]
    report("valid weight one", reduce.valid_weight_kernel, targets, block | {"blocks": 1})
    scale = {"grad_ptr": "*bf16", "upstream_ptr": "*bf16", "n": "i64"}
    constants = {"COMPUTE": tl.float32, "BLOCK": tuning.ELEMENTWISE_BLOCK, "VECTOR": 8}
    report("scale", reduce.scale_kernel, scale, constants)
    del scale["n"]
    report("scale one", reduce.scale_kernel, scale, constants | {"n": 1})


def usual():
    """A training step with default options."""
    for dtype in ("bf16", "fp32"):
        for width in (10, 1000, 8192, 32000, 50257, 128256):
            class_rows("class rows", dtype, width)
        probability_rows("probability rows", dtype, 32000)
        for name in pointwise.POINTS:
            pointwise_loss(name, dtype)
        triplets(dtype, 128, norm=2, swap=False)


def variants():
    """Every other branch."""
    class_rows("focal", "bf16", 50257, ("weight_ptr", "divisor_ptr", "loss_ptr", "grad_ptr"), FOCAL=True, COUNT=1024)
    class_rows("smooth", "bf16", 50257, ("weight_ptr", "divisor_ptr", "loss_ptr", "grad_ptr"), SMOOTH=True)
    class_rows("smooth", "fp32", 1001, SMOOTH=True, COUNT=64)
    class_rows("forward", "bf16", 50257, ("loss_ptr",), FIRST_READ="evict_first")
    class_rows("backward", "bf16", 50257, ("upstream_ptr", "grad_ptr"))
    class_rows("backward", "fp64", 50257, ("upstream_ptr", "grad_ptr"))
    class_rows("one class", "fp32", 1, ones=("width", "x_stride", "upstream_stride"))
    everything = ("weight_ptr", "upstream_ptr", "grad_x_ptr", "grad_t_ptr")
    probability_rows("probability", "bf16", 50257, everything, ALIKE=False)
    probability_rows("probability forward", "fp64", 1000, ("loss_ptr",), FIRST_READ="evict_first")
    probability_rows("probability of one class", "bf16", 1, everything, ("width", "x_stride", "t_stride"))
    for name in pointwise.POINTS:
        pointwise_loss(name, "fp64", operands="xtwpu", outputs="lxt", scalars=("divisor_ptr", "scalar_upstream_ptr"))
        pointwise_loss(name, "bf16", operands="xtwpu", outputs="lxt", strided=True, scalars=())
        pointwise_loss(name, "fp32", ones=("n",))
    for norm in (0, 1, 2, 3):
        triplets("fp32", 5000, norm, swap=True)
        triplets("bf16", 100, norm, swap=True, grads=("grad_p_ptr", "upstream_ptr"))
    triplets("bf16", 128, 2, False, ("loss_ptr",))
    triplets("fp32", 1, 4, True, ones=("count", "width", "a_stride", "p_stride", "n_stride"))
    reductions()


if __name__ == "__main__":
    {"usual": usual, "variants": variants}[sys.argv[1]]()
