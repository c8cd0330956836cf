"""The quantizers against their formulas."""

import math

import pytest
import torch

from soke.tokenizer import QUANTIZERS
from soke.tokenizer.quantizers import PADDING, build_quantizer, usage
from soke.tokenizer.ranks import local_share

CODEBOOKS = ("ema_reset", "ema", "reset", "orig")
#: Four rows far apart and one near the first; a codebook of four starts as the first four.
ROWS = torch.tensor([[[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0], [0.5, 0.0]]])


def quantizer_of(kind, size=4, dim=2, decay=0.9, levels=None, seed=0):
    torch.manual_seed(seed)
    return build_quantizer(kind, size, dim, decay, levels).train()


def random_rows(count, dim=2, seed=0):
    return torch.randn(1, count, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_one_interface(kind):
    quantizer = quantizer_of(kind, 12, 6)
    vectors = random_rows(40, 6).view(2, 20, 6)
    mask = torch.arange(20) < torch.tensor([[20], [13]])
    trained = quantizer(vectors, mask)
    quantizer.eval()
    result = quantizer(vectors, mask)
    for one in (trained, result):
        assert one.codes.shape == (2, 20, 6) and one.tokens.shape == (2, 20)
        assert one.tokens.dtype == torch.int64
        real = one.tokens[mask]
        assert real.min() >= 0 and real.max() < 12 and (one.tokens[~mask] == PADDING).all()
        assert not one.codes[~mask].any()
        share = torch.bincount(real, minlength=12).double() / len(real)
        entropy = -sum(p * math.log(p) for p in share.tolist() if p)
        assert float(one.perplexity) == pytest.approx(math.exp(entropy), rel=1e-5)
        assert float(one.codes_used) == pytest.approx((share > 0).double().mean())
    assert torch.equal(result.tokens[mask], quantizer.nearest(vectors)[mask])
    torch.testing.assert_close(result.codes[mask], quantizer.lookup(result.tokens[mask]))
    everything = torch.arange(12).view(3, 4)
    assert quantizer.lookup(everything).shape == (3, 4, 6)
    assert len(quantizer.lookup(everything).view(12, 6).unique(dim=0)) == 12


@pytest.mark.parametrize("kind", QUANTIZERS)
@pytest.mark.parametrize("training", [True, False])
def test_padding_is_never_seen(kind, training):
    vectors = random_rows(24, 6).view(2, 12, 6)
    mask = torch.arange(12) < torch.tensor([[12], [5]])
    results = []
    for value in (0.0, 1e6, math.nan):
        quantizer = quantizer_of(kind, 12, 6)
        quantizer(vectors[:1])  # so that every codebook has started
        quantizer.train(training)
        results.append(
            (
                *quantizer(vectors.masked_fill(~mask[..., None], value), mask),
                *quantizer.state_dict().values(),
            )
        )
    for first, second, third in zip(*results):
        assert torch.equal(first, second) and torch.equal(first, third)


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_straight_through_gradient(kind):
    quantizer = quantizer_of(kind, 12, 6)
    quantizer(random_rows(30, 6))
    vectors = random_rows(5, 6, seed=1).requires_grad_()
    codes = quantizer.eval()(vectors).codes
    codes.sum().backward()
    if kind == "fsq":  # through the projections and the bounding function
        assert vectors.grad.abs().min() > 0
    else:
        assert torch.equal(vectors.grad, torch.ones_like(vectors))


def test_usage_is_the_exponential_of_the_entropy():
    counts = torch.tensor([[5.0, 5.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [9.0, 0.0, 0.0, 0.0]])
    perplexity, used = usage(counts)
    torch.testing.assert_close(perplexity, torch.tensor([2.0, 4.0, 1.0]))
    torch.testing.assert_close(used, torch.tensor([0.5, 1.0, 0.25]))


@pytest.mark.parametrize("kind", CODEBOOKS)
def test_a_codebook_starts_as_the_first_rows(kind):
    quantizer = quantizer_of(kind)
    result = quantizer(ROWS)
    assert result.tokens.tolist() == [[0, 1, 2, 3, 0]]
    assert torch.equal(result.codes[0, :4], ROWS[0, :4])
    terms = 2 if kind in ("reset", "orig") else 1  # the codebook has a loss of its own
    assert result.commitment.item() == pytest.approx(terms * 0.25 / 10)


@pytest.mark.parametrize("kind", ["ema_reset", "ema"])
def test_moving_averages_follow_the_formula(kind):
    quantizer = quantizer_of(kind)
    quantizer(ROWS)
    # count 0: 0.9 + 0.1 * 2, sum 0: 0.9 * 0 + 0.1 * (0 + 0.5)
    torch.testing.assert_close(quantizer.code_count, torch.tensor([1.1, 1.0, 1.0, 1.0]))
    torch.testing.assert_close(quantizer.codebook[0], torch.tensor([0.05 / 1.1, 0.0]))
    torch.testing.assert_close(quantizer.codebook[3], torch.tensor([10.0, 10.0]))


def plain_moving_averages(batches, size, decay):
    """The method's rule, written out code by code; returns the codes and who was reset."""
    codes = [row.tolist() for row in batches[0][:size]]
    sums, counts, unused = [list(code) for code in codes], [1.0] * size, []
    for rows in batches:
        rows = rows.tolist()
        chosen = [min(range(size), key=lambda k: math.dist(row, codes[k])) for row in rows]
        unused = []
        for k in range(size):
            own = [row for row, c in zip(rows, chosen) if c == k]
            counts[k] = decay * counts[k] + (1 - decay) * len(own)
            for d in range(len(sums[k])):
                total = sum(row[d] for row in own)
                sums[k][d] = decay * sums[k][d] + (1 - decay) * total
            if counts[k] >= 1:
                codes[k] = [value / counts[k] for value in sums[k]]
            else:
                unused.append(k)
    return codes, unused


def test_ema_reset_against_a_plain_implementation():
    batches = [random_rows(30, 3, seed)[0] for seed in range(2)]
    quantizer = quantizer_of("ema_reset", 6, 3, decay=0.8)
    for rows in batches:
        quantizer(rows[None])
    codes, unused = plain_moving_averages(batches, 6, 0.8)
    for k in range(6):
        if k in unused:  # reset to some row of the last batch
            assert (quantizer.codebook[k] == batches[-1]).all(dim=1).any()
        else:
            torch.testing.assert_close(quantizer.codebook[k], torch.tensor(codes[k]))


@pytest.mark.parametrize("kind", ["ema_reset", "reset"])
def test_unused_codes_become_rows_of_the_batch(kind):
    quantizer = quantizer_of(kind, decay=0.5)
    quantizer(random_rows(8))
    with torch.no_grad():
        quantizer.codebook[3] = torch.tensor([0.0, -1e4])  # nobody will choose it
    quantizer.code_count[3] = 0.5
    rows = random_rows(6, seed=1) + torch.tensor([0.0, 100.0])
    quantizer(rows)
    assert (quantizer.codebook[3] == rows[0]).all(dim=1).any()
    assert quantizer.codebook.isfinite().all()


@pytest.mark.parametrize("kind", ["ema", "orig"])
def test_without_reset_unused_codes_stay_where_they_are(kind):
    quantizer = quantizer_of(kind, decay=0.5)
    quantizer(random_rows(8))
    with torch.no_grad():
        quantizer.codebook[3] = torch.tensor([0.0, -1e4])
        if kind == "ema":
            quantizer.code_sum[3] = quantizer.codebook[3] * quantizer.code_count[3]
    for seed in range(200):  # its averaged count falls to 0, which must not become 0 / 0
        quantizer(random_rows(6, seed=seed))
    torch.testing.assert_close(quantizer.codebook[3], torch.tensor([0.0, -1e4]))
    assert quantizer.codebook.isfinite().all() and float(quantizer.code_count[3]) < 1e-8


@pytest.mark.parametrize("kind", ["reset", "orig"])
def test_codes_learned_by_gradients_get_both_terms(kind):
    quantizer = quantizer_of(kind)
    quantizer(ROWS)
    codes = quantizer.codebook.detach().clone()
    vectors = (ROWS + 1).requires_grad_()
    quantizer(vectors).commitment.backward()
    tokens = torch.cdist(vectors[0].detach(), codes).argmin(dim=1)
    difference = (vectors[0].detach() - codes[tokens]) * 2 / vectors.numel()
    torch.testing.assert_close(vectors.grad[0], difference)
    expected = torch.zeros_like(codes).index_add_(0, tokens, -difference)
    torch.testing.assert_close(quantizer.codebook.grad, expected)


def test_resets_do_not_take_a_gradient_meant_for_another_code():
    quantizer = quantizer_of("reset", decay=0.5)
    quantizer(ROWS)
    quantizer.code_count.fill_(0.1)  # all below 1 on average, but code 1 is chosen now
    before = quantizer.codebook.detach().clone()
    quantizer(torch.tensor([[[9.0, 0.0]]]))
    assert torch.equal(quantizer.codebook[1], before[1])
    assert not torch.equal(quantizer.codebook[0], before[0])


@pytest.mark.parametrize("kind", CODEBOOKS)
def test_fewer_rows_than_codes_repeat_with_noise(kind):
    quantizer = quantizer_of(kind, 16, 4)
    rows = random_rows(3, 4)
    quantizer.start(rows[0], local_share(3))
    codes = quantizer.codebook.detach()
    away = torch.cdist(codes, rows[0])
    assert away.argmin(dim=1).tolist() == [k % 3 for k in range(16)]
    noise = codes - rows[0][torch.arange(16) % 3]
    assert len(codes.unique(dim=0)) == 16
    assert float(noise.std()) == pytest.approx(0.01 / 4**0.5, rel=0.3)


def test_the_draws_are_those_of_the_update_count_alone():
    rows = random_rows(50, 4)
    books = []
    for seed in (0, 1):
        quantizer = quantizer_of("ema_reset", 16, 4, seed=seed)
        state = torch.get_rng_state()
        for _ in range(3):
            quantizer(rows)
        assert torch.equal(torch.get_rng_state(), state)
        assert int(quantizer.updates) == 3
        books.append(quantizer.codebook)
    assert torch.equal(*books)
    first, _ = quantizer._draw(rows[0], local_share(50))
    quantizer.updates += 1
    second, _ = quantizer._draw(rows[0], local_share(50))
    assert not torch.equal(first, second) and len(first.unique(dim=0)) == 16


def test_residual_stages_are_the_digits_of_a_token():
    quantizer = quantizer_of("rvq", 12, 6)
    assert quantizer.levels == (4, 3)
    rows = random_rows(40, 6)
    for _ in range(3):
        quantizer(rows)
    result = quantizer.eval()(rows)
    first, second = (stage.codebook for stage in quantizer.stages)
    a = torch.cdist(rows[0], first).argmin(dim=1)
    left = rows[0] - first[a]
    b = torch.cdist(left, second).argmin(dim=1)
    assert torch.equal(result.tokens[0], a * 3 + b)
    torch.testing.assert_close(result.codes[0], first[a] + second[b])
    errors = [left.square().mean(), (left - second[b]).square().mean()]
    torch.testing.assert_close(result.commitment, torch.stack(errors).mean())
    tokens = torch.arange(12)
    assert torch.equal(quantizer.token(quantizer.digits(tokens)), tokens)


def test_residual_stages_average_what_is_left_for_them():
    quantizer = quantizer_of("rvq", 4, 2, decay=0.5)
    single = [quantizer_of("ema_reset", 2, 2, decay=0.5) for _ in range(2)]
    for seed in range(3):
        rows = random_rows(20, 2, seed)
        quantizer(rows)
        codes = single[0](rows).codes
        single[1](rows - codes)
    for stage, alone in zip(quantizer.stages, single):
        for key, value in alone.state_dict().items():
            torch.testing.assert_close(stage.state_dict()[key], value, msg=key)


def test_finite_scalars_are_rounded_values():
    quantizer = quantizer_of("fsq", 12, 2).eval()
    assert quantizer.levels == (4, 3)
    vectors = random_rows(200) * 20
    tokens = quantizer.nearest(vectors)
    assert len(tokens.unique()) > 6
    scalars = torch.tanh(quantizer.fsq.project_in(vectors[0]))
    digits = [((scalars[:, i] + 1) / 2 * (n - 1) + 0.5).floor() for i, n in enumerate((4, 3))]
    assert torch.equal(tokens[0], (digits[0] + 4 * digits[1]).long())
    values = torch.stack([digits[0] / 3 * 2 - 1, digits[1] / 2 * 2 - 1], dim=1)
    torch.testing.assert_close(quantizer.lookup(tokens)[0], quantizer.fsq.project_out(values))
