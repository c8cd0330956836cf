"""The languages of the demo corpora: a row each, and how a word falls into spelled units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prepare.fingerspelling.release_layouts import CSL_DAILY, HOW2SIGN, PHOENIX_2014T, Layout

LATIN = tuple("abcdefghijklmnopqrstuvwxyz")
#: Pinyin has no v; these five are one sign each.
PINYIN_SIGNS = {"zh": "ž", "ch": "ch", "sh": "š", "ng": "ň", "ü": "ý"}
PINYIN = (*(letter for letter in LATIN if letter != "v"), *PINYIN_SIGNS)


def spell_letters(word: str) -> tuple[str, ...]:
    """Letter by letter; ä, ö, ü and ß are letters of their own."""
    return tuple(word)


def spell_pinyin(word: str) -> tuple[str, ...]:
    """The pinyin of a Chinese word without tones: 中国 is zh o ng g u o.

    Syllables are split one by one, so that the n and g of two syllables never make an ng.
    """
    from pypinyin import lazy_pinyin  # deferred: its dictionaries take a second to load

    units: list[str] = []
    for syllable in lazy_pinyin(word, v_to_u=True):
        while syllable:
            size = 2 if syllable[:2] in PINYIN_SIGNS else 1
            units.append(syllable[:size])
            syllable = syllable[size:]
    return tuple(units)


def is_hanzi(word: str) -> bool:
    return all("\u4e00" <= character <= "\u9fff" for character in word)


@dataclass(frozen=True)
class Language:
    """One demo corpus.

    ``signers`` are codes of recorded alphabets: the first spells every word, the others may be
    added for variety. ``word_list`` is a language of the `wordfreq` package. ``spell`` cuts a word
    into units of ``alphabet``; ``signs`` names the recorded letter of a unit where it is not the
    unit itself, ``lacks`` the letters that a further signer does not have. ``spelling`` restores
    what the word list has folded, ``left_out`` are words nobody wants in a demo.
    """

    corpus: str
    layout: Layout
    signers: tuple[str, ...]
    word_list: str
    words: int
    alphabet: tuple[str, ...]
    is_word: Callable[[str], bool]
    spell: Callable[[str], tuple[str, ...]] = spell_letters
    signs: Mapping[str, str] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    spelling: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    def sign(self, unit: str) -> str:
        """The recorded letter that shows a unit."""
        return self.signs.get(unit, unit)


#: `wordfreq` writes ss for ß (Swiss spelling). Words whose ß is beyond doubt; not here: Masse/Maße,
#: Busse/Buße.
_ESZETT = """
weiß große großen heißt straße spaß groß außer großer ließ größte größten großes bloß größe heißen
weißt draußen fuß größere weißen größer straßen außen weiße heiß hieß heiße gemäß ließen saß süß
füße süße preußen großem grüße füßen äußern größter verließ schießt weißer gießen fließt stieß
fleißig äußeren genießt stoßen begrüßt größen stößt reißen besaß grüßen fließen gruß süßen saßen
äußere äußert reißt süßer weißes heißer süßes mäßig ließe dreißig genieße verstoß heißes anstoß
schweiß soße beißen bloße fußball
""".split()

LANGUAGES = {
    language.corpus: language
    for language in (
        Language(
            corpus="how2sign",
            layout=HOW2SIGN,
            signers=("ase",),
            word_list="en",
            words=1200,
            alphabet=LATIN,
            is_word=lambda word: word.isalpha() and word.isascii(),
            left_out=frozenset("shit fuck fucking fucked ass bitch dick porn pussy http".split()),
        ),
        Language(
            corpus="phoenix",
            layout=PHOENIX_2014T,
            signers=("gsg", "asq", "sgg"),
            word_list="de",
            words=1200,
            alphabet=(*LATIN, *"äöüß"),
            is_word=str.isalpha,
            lacks={"sgg": "ß"},
            spelling={word.replace("ß", "ss"): word for word in _ESZETT},
            left_out=frozenset(
                "scheisse scheiss arsch fick ficken http the and for you all one new".split()
            ),
        ),
        Language(
            corpus="csl",
            layout=CSL_DAILY,
            signers=("svk",),
            word_list="zh",
            words=400,
            alphabet=PINYIN,
            is_word=is_hanzi,
            spell=spell_pinyin,
            signs=PINYIN_SIGNS,
        ),
    )
}
