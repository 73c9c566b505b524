"""pytorch-metric-learning's triplet margin loss, on triplets given as (anchor, positive, negative) rows.

Its loss looks triplets up by index, normalises rows by default, measures by a distance object, and averages over the
losses above zero. Here its distance does not normalise, and its reducer is the plain one of the same name, so that it
computes what the definition says. It has no `eps`: adding it to the anchor gives both of the anchor's distances, but
not the one between positive and negative that `swap` needs. `margin`, `swap` and finite `p` map one to one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossimpl.adapters._importing import imported, refuse, why_not

PACKAGE = "pytorch_metric_learning"
MODULES = (f"{PACKAGE}.losses", f"{PACKAGE}.distances", f"{PACKAGE}.reducers")
REDUCERS = {"none": "DoNothingReducer", "mean": "MeanReducer", "sum": "SumReducer"}


def available(device: str) -> str | None:
    """Why pytorch-metric-learning cannot run here, or None."""
    del device
    return next((reason for reason in map(why_not, MODULES) if reason), None)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """pytorch_metric_learning.losses.TripletMarginLoss over the rows as explicit triplets."""
    losses, distances, reducers = map(imported, MODULES)
    refuse(
        "pytorch-metric-learning",
        swap_with_an_eps_above_the_default=swap and eps > 1e-6,
        an_infinite_norm=math.isinf(p),
        bfloat16_on_cpu=anchor.dtype == torch.bfloat16 and anchor.device.type == "cpu",
        rows_of_other_than_two_dimensions=anchor.dim() != 2,
        rows_that_broadcast=not anchor.shape == positive.shape == negative.shape,
        rows_of_several_types=not anchor.dtype == positive.dtype == negative.dtype,
        an_empty_batch=anchor.shape[:1] == (0,),
    )
    if reduction not in REDUCERS:
        raise ValueError(f"{reduction} is not a valid value for reduction: it must be 'none', 'mean' or 'sum'")
    rows = anchor.shape[0]
    first = torch.arange(rows, device=anchor.device)
    compute = losses.TripletMarginLoss(
        margin=margin,
        swap=swap,
        distance=distances.LpDistance(normalize_embeddings=False, p=p),
        reducer=getattr(reducers, REDUCERS[reduction])(),
    )
    embeddings = torch.cat([anchor + eps, positive, negative])
    result = compute(embeddings, indices_tuple=(first, first + rows, first + 2 * rows))
    loss: Tensor = result["loss"]["losses"] if isinstance(result, dict) else result
    return loss
