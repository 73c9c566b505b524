"""The kernels as torch operators: registration, saved gradients, second derivatives, compile, autocast."""

import importlib
import inspect

import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore")  # numpy's warnings of the infinities that the interpreter meets


@pytest.fixture
def native(device):
    """The loader of the Triton functions."""
    from lossimpl.kernels.triton import load

    return load


@pytest.fixture
def batch(device):
    """Three rows of logits and their targets, one of them ignored."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 7, generator=generator).to(device).requires_grad_()
    return x, torch.tensor([1, -100, 6], device=device)


def gradient(loss, x, **options):
    """A copy of the gradient in x."""
    (grad,) = torch.autograd.grad(loss, x, **options)
    return grad.clone()


def test_operators_pass_opcheck(native, batch, device):
    """torch.library.opcheck: schema, fake kernels, autograd registration, tracing."""
    native("mse_loss"), native("cross_entropy"), native("triplet_margin_loss")
    operators, (x, y) = torch.ops.lossimpl_triton, batch
    t = torch.rand(3, 7, device=device)
    f32 = torch.float32
    calls = {
        operators.mse_loss: (x, t, None, None, 0.0, 0.0, "mean", f32, True, False),
        operators.cross_entropy: (x, y, None, -100, 0.1, 1.0, 0.0, "none", f32, False),
        operators.cross_entropy_probabilities: (x, t, None, 0.1, "sum", f32, True, False),
        operators.triplet_margin_loss: (x, t, t + 1, 1.0, 2.0, 1e-6, False, "mean", f32, True, False, False),
    }
    for operator, arguments in calls.items():
        assert set(torch.library.opcheck(operator.default, arguments).values()) == {"SUCCESS"}


def test_a_retained_graph_gives_the_same_gradient_again(native, batch):
    """Also if the first gradient is overwritten."""
    x, y = batch
    loss = 3 * native("cross_entropy")(x, y)
    loss.backward(retain_graph=True)
    first = x.grad.clone()
    x.grad.mul_(0)
    assert torch.equal(gradient(loss, x, retain_graph=True), first)
    assert torch.equal(gradient(loss, x), first)


def test_a_batch_of_upstream_gradients_gives_a_gradient_for_each(native, batch):
    """torch.autograd.grad with is_grads_batched, as in torch.autograd.functional.jacobian(vectorize=True)."""
    x, y = batch
    alone = gradient(native("cross_entropy")(x, y), x)
    upstream = torch.tensor([1.0, -2.0, 0.5], device=x.device)
    (grads,) = torch.autograd.grad(native("cross_entropy")(x, y), x, upstream, is_grads_batched=True)
    torch.testing.assert_close(grads, upstream[:, None, None] * alone)


def test_inputs_are_never_written(native, batch):
    """Neither the values nor the version counter of the logits change."""
    x, y = batch
    before = x.detach().clone()
    (5 * native("cross_entropy")(x, y)).backward()
    assert torch.equal(x.detach(), before)
    assert x._version == 0


def test_two_losses_of_one_input_do_not_interfere(native, batch):
    """The gradient of the sum is the sum of the gradients."""
    x, y = batch
    cross_entropy = native("cross_entropy")
    alone = gradient(cross_entropy(x, y), x)
    both = gradient(cross_entropy(x, y) + 2 * cross_entropy(x, y), x)
    torch.testing.assert_close(both, 3 * alone)


@pytest.mark.parametrize(("upstream", "written"), [(1.0, False), (0.5, True)])
def test_an_upstream_gradient_of_one_costs_no_write(upstream, written, device, monkeypatch):
    """The kernel returns before it accesses the gradient; the interpreter's stores are counted."""
    if device != "cpu":
        pytest.skip("stores are counted in the interpreter")
    from triton.runtime.interpreter import InterpreterBuilder

    from lossimpl.kernels.triton.sums import scale_in_place

    stores, store = [], InterpreterBuilder.create_masked_store
    monkeypatch.setattr(InterpreterBuilder, "create_masked_store", lambda *given: stores.append(1) or store(*given))
    grad = torch.full((5,), 2.0)
    scale_in_place(grad, torch.tensor(upstream))
    assert (len(stores) > 0) == written
    assert set(grad.tolist()) == {2 * upstream}


@pytest.mark.parametrize("name", ["cross_entropy", "softmax_focal_loss"])
def test_second_derivatives_of_losses_over_classes(name, native, device):
    """torch's numerical second derivative in float64."""
    x = torch.randn(2, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
    y = torch.tensor([1, 2], device=device)
    assert torch.autograd.gradgradcheck(lambda x: native(name)(x, y), (x,))


@pytest.mark.parametrize("name", ["mse_loss", "log_cosh_loss", "binary_cross_entropy_with_logits"])
def test_second_derivatives_of_elementwise_losses(name, native, device):
    """torch's numerical second derivative in float64."""
    generator = torch.Generator().manual_seed(0)
    x, t = (torch.rand(2, 3, dtype=torch.double, generator=generator).to(device).requires_grad_() for _ in range(2))
    assert torch.autograd.gradgradcheck(native(name), (x, t))


def test_fullgraph_compile_for_two_shapes(native, device):
    """One graph without breaks, with the value and gradient of the eager call for both shapes."""
    y, cross_entropy = torch.tensor([1, 2, 0], device=device), native("cross_entropy")
    compiled = torch.compile(lambda x, y: 2 * cross_entropy(1.0 * x, y), fullgraph=True, backend="aot_eager")
    for width in (5, 9):
        x = torch.randn(3, width, generator=torch.Generator().manual_seed(width)).to(device).requires_grad_()
        eager = 2 * cross_entropy(x, y)
        torch.testing.assert_close(compiled(x, y), eager)
        torch.testing.assert_close(gradient(compiled(x, y), x), gradient(eager, x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_returns_float32(dtype, native, batch, device):
    """torch autocasts these losses to float32; the gradient has the input's dtype."""
    x, y = batch[0].detach().to(dtype).requires_grad_(), batch[1]
    with torch.autocast(device, dtype):
        losses = [
            native("cross_entropy")(x, y),
            native("mse_loss")(x, x.detach() + 1),
            native("huber_loss")(x, x.detach()),
        ]
    assert {loss.dtype for loss in losses} == {torch.float32}
    assert gradient(losses[0], x).dtype == dtype


def test_a_loss_scale_does_not_underflow_in_half_precision(native, device):
    """Gradients of a float16 mean would underflow; with a loss scale they do not."""
    n = 1 << 14
    x = torch.full((n,), 1e-4, dtype=torch.float16, device=device, requires_grad=True)
    (2.0**14 * native("mse_loss")(x, torch.zeros_like(x)).float()).backward()
    assert float(x.grad[0]) == pytest.approx(2 * float(x[0]), rel=1e-3)  # 2**14 / n is one


def test_unsupported_calls_are_unavailable(native, device):
    """Gradients of weights, torch.func.grad and complex numbers, each with its reason."""
    from lossimpl.spec import Unavailable

    x = torch.randn(3, device=device, requires_grad=True)
    with pytest.raises(Unavailable, match="weight"):
        native("mse_loss")(x, x.detach(), weight=torch.ones(3, device=device, requires_grad=True))
    with pytest.raises(Unavailable, match=r"torch\.func"):
        torch.func.grad(lambda x: native("mse_loss")(x, x.detach()))(x.detach())
    with pytest.raises(Unavailable, match="complex64"):
        native("l1_loss")(torch.ones(3, dtype=torch.complex64, device=device), x.detach())


def test_all_tensors_must_be_on_one_device(native, batch):
    """A kernel would read the address of another device; the meta device stands for any other here."""
    x, target = batch
    same = x.detach()
    for call in (
        lambda: native("cross_entropy")(x, target.to("meta")),
        lambda: native("binary_cross_entropy_with_logits")(x, same, weight=same.to("meta")),
        lambda: native("binary_cross_entropy_with_logits")(x, same, pos_weight=same[0].to("meta")),
    ):
        with pytest.raises(RuntimeError, match="device"):
            call()


def test_rows_beyond_32_bit_columns_are_refused(native, device):
    """A row of 2^31 classes, expanded from one number."""
    from lossimpl.spec import Unavailable

    with pytest.raises(Unavailable, match="2147483648"):
        native("cross_entropy")(torch.zeros(1, 1, device=device).expand(1, 2**31), torch.zeros(1, device=device).long())


def test_more_programs_than_a_grid_allows_are_refused(native, device):
    """CUDA limits a grid to 2^31 - 1 programs; the message names the number."""
    from lossimpl.kernels.triton.launch import launch
    from lossimpl.spec import Unavailable

    with pytest.raises(Unavailable, match="2147483648"):
        launch(None, torch.device(device, 0), 2**31)


def test_the_package_has_every_loss(native):
    """Each loss has a function, and the package is available here."""
    import lossimpl
    from lossimpl.kernels import triton

    assert set(triton.LOSSES) == set(lossimpl.LOSSES)
    assert all(callable(native(name)) for name in lossimpl.LOSSES)
    assert triton.available() is None


def test_every_function_has_the_arguments_of_the_public_one(native):
    """In the same order, with the same defaults; it alone has `implementation`, and what `reduction` has replaced."""
    import lossimpl
    from lossimpl.kernels import triton

    public_only = ("implementation", "size_average", "reduce")
    for name, module in triton.LOSSES.items():
        native(name)
        function = getattr(importlib.import_module(f"{triton.__name__}.{module}"), name)
        ours = {one.name: one.default for one in inspect.signature(function).parameters.values()}
        public = inspect.signature(getattr(lossimpl, name)).parameters.values()
        assert list(ours.items()) == [(one.name, one.default) for one in public if one.name not in public_only]
