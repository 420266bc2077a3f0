"""Invented names and texts, including texts that cause errors in careless programs.

Telephone numbers and domains come from the ranges that are reserved for fiction and examples.
"""

from __future__ import annotations

FIRST_NAMES = (
    *("Vzorka", "Testomil", "Ukázka", "Příkladmír", "Zkusmila", "Fiktivan", "Žofínka", "Řehůřek", "Anežka"),
    *("Sample", "Demo", "Ångström", "Łucjan", "Ñandú", "Οδυσσέας", "Пример", "示例", "דוגמה"),
)
LAST_NAMES = (
    *(
        "Vzorová",
        "Zkušební",
        "Příkladný",
        "Ukázkový",
        "Nikdová",
        "Testerová",
        "Smyšlený",
        "Čtvrtníček-Ďáblík",
    ),
    *("O'Sample", "von Beispiel", "Exemple", "Πρότυπος", "Образцова", "例子", "مثال"),
)
COMPANIES = (
    *("Vymyšlené strojírny", "Nikde a syn", "Ukázkové pekárny", "Příkladná doprava", "Smyšlené lázně"),
    *("Acme Exempli Gratia", "Foobar & Quux", "Müller-Beispiel", 'Závod "Test"', "Sample; Holding, Group"),
)
LEGAL_FORMS = ("s.r.o.", "a.s.", "GmbH", "Ltd", "")

SUBJECTS = (
    *(
        "Dotaz na objednávku",
        "Reklamace č. 7",
        "Re: Dotaz na objednávku",
        "Fwd: faktura",
        "Question about delivery",
    ),
    *(
        "Otevírací doba?",
        "Storno 🙏",
        "Ověření údajů, žlutý kůň",
        "",
        "a < b > c & d",
        'Cena "na klíč", prosím',
    ),
)

ODD_TEXTS = (
    "Emoji 👩‍👩‍👧‍👦 and flag 🇨🇿",
    "Right to left: שלום עולם, مرحبا بالعالم",
    "Line\u2028separator, paragraph\u2029separator and next\u0085line",
    "NUL\x00inside",
    "Tab\tnewline\r\nand a \\ backslash, \"quotes\", 'apostrophes'",
    "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Combining e\u0301, zero\u200bwidth, no-break\u00a0space, \ufeffmark",
    "</script><!-- not HTML -->",
    " blanks around ",
)

PARAGRAPHS = (
    "<p>Dobrý den,</p><p>prosím o informaci o stavu mé objednávky. Děkuji.</p>",
    "<div><b>Hello</b>,<br />the parcel has not arrived yet &amp; nobody answers.</div>",
    '<p style="color:#333">Zboží vracím v zákonné lhůtě. Přikládám <i>kopii faktury</i>.</p>',
    "<blockquote>&gt; Předchozí zpráva je níže.</blockquote>",
    '<table><tr><td>Položka</td><td>Cena</td></tr><tr><td>Šroub "M8"</td><td>12,50 Kč</td></tr></table>',
    "<p>S pozdravem<br/>Vzorka Zkušební<br/>Příkladná doprava s.r.o.</p>",
)

BROWSERS = ("Firefox 128", "Chrome 126", "Safari 17", "Edge 126")
LANGUAGES = ("cs", "sk", "en-GB", "de")
DOMAINS = ("example.com", "example.org", "example.net", "posta.example")


def phone(serial: int) -> str:
    """Return a number from the range that Ofcom reserves for drama."""
    return f"00441632960{serial % 1000:03d}"


def address(serial: int) -> str:
    """Return an e-mail address that cannot exist."""
    return f"kontakt{serial}@{DOMAINS[serial % len(DOMAINS)]}"


def body(serial: int) -> str:
    """Return the HTML of an e-mail. Some contain an unusual text."""
    count = len(PARAGRAPHS)
    text = "".join(PARAGRAPHS[(serial + step * 5) % count] for step in range(serial % 5 + 1))
    odd = ODD_TEXTS[serial // 7 % len(ODD_TEXTS)] if serial % 7 == 0 else ""
    return f"{text}<p>{odd}</p>" if odd else text
