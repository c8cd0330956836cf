import pytest
import torch
from torch import nn

from soke.parts import PartTable
from soke.tokenizer import PADDING, EMAResetQuantizer, PartTokenizer, load_tokenizer
from soke.tokenizer.tokenizer import reconstruction_loss
from tests.helpers import THREE_PARTS, small_tokenizer


def test_shapes_and_round_trip_of_tokens():
    tokenizer = small_tokenizer()
    motion = torch.randn(2, 24, 133)
    tokens = tokenizer.encode(motion)
    assert tokens.shape == (2, 6, 3) and tokens.dtype == torch.int64
    assert tokenizer.decode(tokens).shape == (2, 24, 133)
    normal = tokenizer.normalize(motion)
    torch.testing.assert_close(tokenizer.denormalize(normal), motion)


def test_a_clip_alone_equals_itself_padded_in_a_batch():
    tokenizer = small_tokenizer()
    clips = [torch.randn(n, 133) for n in (8, 40, 64, 12)]
    lengths = [len(clip) for clip in clips]
    padded = torch.full((4, 64, 133), 7.0)  # padding of any value
    for row, clip in zip(padded, clips):
        row[: len(clip)] = clip
    tokens = tokenizer.encode(padded, lengths)
    decoded = tokenizer.decode(tokens, [n // 4 for n in lengths])
    mask = torch.arange(64) < torch.tensor(lengths)[:, None]
    output = tokenizer(padded, mask)
    for i, clip in enumerate(clips):
        n = len(clip)
        alone = tokenizer.encode(clip[None])
        assert torch.equal(tokens[i, : n // 4], alone[0])
        assert (tokens[i, n // 4 :] == PADDING).all()
        torch.testing.assert_close(decoded[i, :n], tokenizer.decode(alone)[0], atol=1e-5, rtol=0)
        assert not decoded[i, n:].any()
        one = tokenizer(clip[None], torch.ones(1, n, dtype=torch.bool))
        torch.testing.assert_close(
            output.reconstruction[i, :n], one.reconstruction[0], atol=1e-5, rtol=0
        )


def test_padding_enters_neither_losses_nor_codebook():
    clips = [torch.randn(n, 133) for n in (8, 32)]
    results = []
    for size, value in ((32, 0.0), (48, 9.0)):
        tokenizer = small_tokenizer(train=True)
        padded = torch.full((2, size, 133), value)
        for row, clip in zip(padded, clips):
            row[: len(clip)] = clip
        mask = torch.arange(size) < torch.tensor([[8], [32]])
        output = tokenizer(padded, mask)
        loss = reconstruction_loss("l1_smooth", output.reconstruction, padded, mask)
        books = [network.quantizer.codebook for network in tokenizer.networks]
        results.append((loss, output.commitment, output.perplexity, *books))
    for first, second in zip(*results):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def plain_encoder(encoder, motion):
    """The layer stack of the method's description out of plain torch modules."""
    relu = nn.functional.relu

    def conv(layer, x, **options):
        return nn.functional.conv1d(x, layer.weight, layer.bias, **options)

    x = relu(conv(encoder.input, motion.transpose(1, 2), padding=1))
    for down, stack in zip(encoder.down, encoder.stacks):
        x = conv(down, x, stride=2, padding=1)
        for block, dilation in zip(stack.blocks, (9, 3, 1)):
            y = conv(block.dilated, relu(x), padding=dilation, dilation=dilation)
            x = x + conv(block.pointwise, relu(y))
    return conv(encoder.output, x, padding=1).transpose(1, 2)


def plain_decoder(decoder, codes):
    relu = nn.functional.relu

    def conv(layer, x, **options):
        return nn.functional.conv1d(x, layer.weight, layer.bias, **options)

    x = relu(conv(decoder.input, codes.transpose(1, 2), padding=1))
    for stack, up in zip(decoder.stacks, decoder.up):
        for block, dilation in zip(stack.blocks, (9, 3, 1)):
            y = conv(block.dilated, relu(x), padding=dilation, dilation=dilation)
            x = x + conv(block.pointwise, relu(y))
        x = conv(up, nn.functional.interpolate(x, scale_factor=2, mode="nearest"), padding=1)
    return conv(decoder.output, relu(conv(decoder.middle, x, padding=1)), padding=1).transpose(1, 2)


def test_the_networks_are_those_of_the_method():
    tokenizer = small_tokenizer()
    motion = torch.randn(2, 32, 133)
    pieces = tokenizer.parts.split(motion)
    tokens = tokenizer.encode(motion)
    decoded = []
    for p, (network, piece) in enumerate(zip(tokenizer.networks, pieces)):
        vectors = plain_encoder(network.encoder, piece)
        nearest = torch.cdist(vectors, network.quantizer.codebook[None]).argmin(-1)
        assert torch.equal(nearest, tokens[..., p])
        decoded.append(plain_decoder(network.decoder, network.quantizer.codebook[nearest]))
    torch.testing.assert_close(
        tokenizer.parts.merge(decoded), tokenizer.decode(tokens), atol=1e-5, rtol=0
    )


def test_quantizer_follows_the_formula():
    quantizer = EMAResetQuantizer(4, 2, decay=0.9).train()
    first = torch.tensor([[[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0], [0.5, 0.0]]])
    mask = torch.ones(1, 5, dtype=torch.bool)
    codes, tokens, commitment, perplexity = quantizer(first, mask)
    assert tokens.tolist() == [[0, 1, 2, 3, 0]]
    assert torch.equal(codes[0, :4], first[0, :4])
    assert commitment == pytest.approx(0.25 / 10)
    share = torch.tensor([0.4, 0.2, 0.2, 0.2])
    assert float(perplexity) == pytest.approx(
        float(torch.exp(-(share * share.log()).sum())), rel=1e-4
    )
    # count 0: 0.9 + 0.1 * 2, sum 0: 0.1 * (0 + 0.5)
    torch.testing.assert_close(quantizer.code_count, torch.tensor([1.1, 1.0, 1.0, 1.0]))
    torch.testing.assert_close(quantizer.codebook[0], torch.tensor([0.05 / 1.1, 0.0]))
    torch.testing.assert_close(quantizer.codebook[3], torch.tensor([10.0, 10.0]))


def test_unused_codes_are_reset_to_rows_of_the_batch():
    quantizer = EMAResetQuantizer(4, 2, decay=0.5).train()
    rows = torch.randn(1, 6, 2) + torch.tensor([0.0, 100.0])
    quantizer(torch.randn(1, 8, 2), torch.ones(1, 8, dtype=torch.bool))
    quantizer.codebook[3] = torch.tensor([0.0, -1e4])  # nobody will choose it
    quantizer.code_count[3] = 0.5
    quantizer(rows, torch.ones(1, 6, dtype=torch.bool))
    assert (quantizer.codebook[3] == rows[0]).all(dim=1).any()
    assert quantizer.codebook.isfinite().all()


def test_fewer_outputs_than_codes_repeat_with_noise():
    quantizer = EMAResetQuantizer(16, 4).train()
    rows = torch.randn(1, 3, 4)
    quantizer(rows, torch.ones(1, 3, dtype=torch.bool))
    distance = torch.cdist(quantizer.codebook, rows[0]).min(dim=1).values
    assert distance.max() < 0.1 and len(quantizer.codebook.unique(dim=0)) == 16


def test_straight_through_gradient():
    quantizer = EMAResetQuantizer(4, 2).eval()
    quantizer.codebook.normal_()
    vectors = torch.randn(1, 3, 2, requires_grad=True)
    codes, *_ = quantizer(vectors, torch.ones(1, 3, dtype=torch.bool))
    codes.sum().backward()
    assert torch.equal(vectors.grad, torch.ones_like(vectors))


def test_save_load_one_step_equals_an_uninterrupted_run():
    motions = [torch.randn(4, 32, 133) for _ in range(4)]
    mask = torch.ones(4, 32, dtype=torch.bool)

    def step(tokenizer, motion):
        optimizer = torch.optim.SGD(tokenizer.parameters(), 0.01)
        output = tokenizer(motion, mask)
        (output.reconstruction.square().mean() + output.commitment.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()

    one = small_tokenizer(train=True)
    for motion in motions[:3]:
        step(one, motion)
    state = {key: value.clone() for key, value in one.state_dict().items()}
    step(one, motions[3])
    other = PartTokenizer.from_description(one.description()).train()
    other.load_state_dict(state)
    step(other, motions[3])
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_checkpoint_round_trip(tmp_path):
    tokenizer = small_tokenizer()
    state = {f"tokenizer.{key}": value for key, value in tokenizer.state_dict().items()}
    path = tmp_path / "tokenizer.ckpt"
    torch.save({"state_dict": state, "soke": {"tokenizer": tokenizer.description()}}, path)
    loaded = load_tokenizer(path)
    motion = torch.randn(1, 16, 133)
    assert torch.equal(loaded.encode(motion), tokenizer.encode(motion))
    assert loaded.parts == PartTable.from_rows(THREE_PARTS) and not loaded.training
    torch.save({"state_dict": state}, path)
    with pytest.raises(ValueError, match="not a tokenizer checkpoint"):
        load_tokenizer(path)
    with pytest.raises(FileNotFoundError, match="python -m train"):
        load_tokenizer(tmp_path / "none.ckpt")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.encode(torch.zeros(1, 8, 132)), r"\[B, T, 133\]"),
        (lambda t: t.encode(torch.zeros(1, 9, 133)), "multiples of 4"),
        (lambda t: t.encode(torch.zeros(1, 8, 133), [6]), "multiples of 4"),
        (lambda t: t.encode(torch.zeros(1, 8, 133), [12]), "from 1 to 8"),
        (lambda t: t.decode(torch.zeros(1, 8, 2, dtype=torch.int64)), r"\[B, S, 3\]"),
        (lambda t: t.decode(torch.full((1, 2, 3), 99)), "'body' must lie in 0..15"),
        (lambda t: t.decode(torch.full((1, 2, 3), -1)), "must lie in"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(small_tokenizer())


def test_any_part_table_works():
    one = [{"name": "all", "columns": [[0, 133]], "codebook_size": 8, "fusion_weight": 1.0,
            "token_prefix": "m"}]  # fmt: skip
    tokenizer = small_tokenizer(rows=one)
    assert tokenizer.encode(torch.randn(1, 8, 133)).shape == (1, 2, 1)


def test_mixed_precision_trains_and_keeps_the_codebook_exact():
    tokenizer = small_tokenizer(train=True)
    mask = torch.ones(2, 32, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = tokenizer(torch.randn(2, 32, 133), mask)
        output.reconstruction.float().square().mean().backward()
    assert tokenizer.networks[0].quantizer.codebook.dtype == torch.float32
    assert output.commitment.dtype == torch.float32
