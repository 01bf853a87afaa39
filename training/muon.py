"""Muon: momentum whose update is made orthogonal (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

For the kernels of convolutions that a batch norm follows, so that their scale is free: like in the author's CIFAR-10 runs, each is kept at
a root mean square of 1 a filter, which makes the learning rate an angle. torch.optim.Muon takes matrices only, in bfloat16.
"""

import torch

# Of the quintic that takes singular values towards 1, from the post.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrix: torch.Tensor, steps: int) -> torch.Tensor:
    """About U V' of the singular value decomposition U S V' of `matrix`, by `steps` steps of a Newton-Schulz iteration.

    A step is X <- (a + b X X' + c (X X')^2) X. X X' commutes with its own polynomials, so the steps can run on that smaller matrix alone.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalize(matrix.T, steps).T
    a, b, c = COEFFICIENTS
    x = matrix / (matrix.norm() + 1e-12)
    gram = x @ x.T
    identity = torch.eye(len(gram), device=gram.device)
    product = a * identity + b * gram + c * gram @ gram
    polynomial = product
    for _ in range(steps - 1):
        gram = polynomial @ gram @ polynomial
        polynomial = a * identity + b * gram + c * gram @ gram
        product = polynomial @ product
    return product @ x


class Muon(torch.optim.Optimizer):
    """Over parameters [K, C, H, W], each a matrix of K filters."""

    def __init__(self, parameters: list[torch.nn.Parameter], lr: float, momentum: float, steps: int = 3) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "steps": steps})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                nesterov = parameter.grad.add(momentum, alpha=group["momentum"])
                # A view in the order that channels last has in memory. The order of columns does not matter.
                update = orthogonalize(nesterov.permute(0, 2, 3, 1).flatten(1), group["steps"])
                matrix = parameter.permute(0, 2, 3, 1)
                matrix.mul_(len(matrix) ** 0.5 / matrix.norm())
                matrix.sub_(update.view(matrix.shape), alpha=group["lr"])
