"""What names a person or their money: addresses, telephone, card and account numbers, numbers of states."""

from __future__ import annotations

from jitr.models.redaction.checks import (
    american,
    card,
    drawn,
    iban,
    mail,
    numbered,
    phone,
    social_security,
    valid,
)
from jitr.models.redaction.pattern import Rule, W

_AT = r"(?:@|%40|&#64;|&#x40;|&commat;)"
_D = "[0-9]"

PEOPLE: tuple[Rule, ...] = (
    Rule(
        "email",
        rf"(?:\"[^\"\s@]{{1,64}} ?[^\"\s@]{{1,64}}\"|[{W}.+%~-][{W}.+%~'-]*[{W}.+-]|[{W}]){_AT}"
        rf"(?:[{W}-]+\.)+(?:xn--[\w-]+|[A-Za-z{W[2:]}][A-Za-z{W[2:]}]+)",
        mail,
        broken=True,
        sign=_AT,
    ),
    Rule("email", rf"[{W}.+-]+@\[[0-9a-fA-F.:]{{7,40}}\]", sign=r"@\["),
    Rule(
        "email",
        rf"(?i)[{W}.+-]+\s?[\[({{]\s?at\s?[\])}}]\s?[{W}-]+(?:\s?(?:\.|[\[({{]\s?(?:dot|punkt)\s?[\])}}])\s?[{W}-]+)+",
        sign=r"(?i)[\[({]\s?at\s?[\])}]",
    ),
    Rule("email", rf"(?i)\b[{W}.+-]+ at [{W}-]+(?: dot [{W}-]+)+\b", sign=rf"(?i) at [{W}-]+ dot "),
    Rule("card", r"\b[2-6](?:[ ./\n_-]{0,3}[0-9]){13,18}\b", card, broken=True),
    Rule("iban", r"\b[A-Za-z]{2}[0-9]{2}(?:[ .-]?[A-Za-z0-9]){11,30}", iban, broken=True),
    Rule("id", rf"\b{_D}{{3}}[-. ]{_D}{{2}}[-. ]{_D}{{4}}\b", social_security),
    Rule("id", r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b"),
    Rule(
        "id",
        r"\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b",
        valid("it.codicefiscale"),
    ),
    Rule("id", r"(?i)\b[0-9]{8}-?[A-Z]\b|\b[XYZ]-?[0-9]{7}-?[A-Z]\b", valid("es.dni", "es.nie")),
    Rule("id", r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b|\b[0-9]{11}\b", valid("br.cpf")),
    Rule("id", r"\b[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}\b", valid("br.cnpj")),
    Rule("id", r"\b[0-9]{11}\b", valid("tr.tckimlik")),
    Rule("id", r"\b[0-9]{6} ?[0-9]{5}\b", valid("no.fodselsnummer", born="DDMMYY")),
    Rule("id", r"\b[0-9]{11}\b", valid("pl.pesel")),
    Rule("id", r"\b[1-9][0-9](?: ?[0-9]{3}){3}\b", valid("de.idnr")),
    Rule("id", r"\b[A-Z]{4}[0-9]{6}[HM][A-Z]{5}[A-Z0-9][0-9]\b", valid("mx.curp")),
    Rule("id", r"\b[A-Z]{3}[PCHABGJLFT][A-Z][0-9]{4}[A-Z]\b", valid("in_.pan")),
    Rule("id", r"\b[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}\b", valid("in_.aadhaar")),
    Rule(
        "id",
        r"\b[1278] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
        valid("fr.nir"),
    ),
    Rule(
        "id",
        r"\b[1-9][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9Xx]\b",
        valid("cn.ric", born="......YYYYMMDD"),
    ),
    Rule("id", r"\b[0-9]{6}-[0-9]{7}\b", valid("kr.rrn")),
    Rule("id", r"\b(?:19|20)?[0-9]{6}[-+][0-9]{4}\b", valid("se.personnummer")),
    Rule("id", r"\b[0-9]{6}[-+A][0-9]{3}[0-9A-Y]\b", valid("fi.hetu")),
    Rule("id", r"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b", valid("be.nn")),
    Rule("id", r"\b756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}\b", valid("ch.ssn")),
    Rule("id", r"(?i)\b[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9K]\b", valid("cl.rut")),
    Rule("id", r"\b(?:20|2[347]|3[034])-[0-9]{8}-[0-9]\b", valid("ar.cuit")),
    Rule("id", r"\b[0-9]{3}-[0-9]{3}-[0-9]{3}\b", valid("ca.sin")),
    Rule("id", r"\b[1-9][A-Z][A-Z0-9][0-9]-[A-Z][A-Z0-9][0-9]-[A-Z]{2}[0-9]{2}\b"),
    Rule("id", r"\b[STFGM][0-9]{7}[A-Z]\b|\b[A-Z]{1,2}[0-9]{6}\([0-9A]\)"),
    Rule("id", r"\b[A-Z9]{5}[0-9]{6}[A-Z9]{2}[0-9][A-Z]{2}\b"),
    Rule(
        "id",
        r"\bP[A-Z<][A-Z]{3}[A-Z]+<[A-Z<]{10,}(?:\s[A-Z0-9<]{9}[0-9][A-Z<]{3}[0-9]{7}[MFX<][0-9]{7}[A-Z0-9<]*)?",
    ),
    Rule("id", r"\bbc1[a-z0-9]{25,60}\b|\b[13][a-km-zA-HJ-NP-Z1-9]{25,34}\b", drawn),
    Rule("id", r"\b[0-9]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]\b", valid("th.pin")),
    Rule("phone", r"\+[1-9][0-9]{0,2}(?:[ ()./-]{0,3}[0-9]){6,13}\b", numbered(8), broken=True),
    Rule("phone", r"\b00[ .-]?[1-9](?:[ ()./-]{0,3}[0-9]){9,13}\b", numbered(12)),
    Rule(
        "phone",
        r"(?:\b1[ .-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .-])[0-9]{3}[ .-][0-9]{4}\b",
        american,
    ),
    Rule("phone", r"(?:\(|\b)0[0-9]{1,4}\)?[ /.-][0-9]{2,8}(?:[ .-][0-9]{1,5}){0,4}\b", phone(9)),
    Rule("phone", r"\b(?:07[0-9]{9}|0[67][0-9]{8}|01[5-7][0-9]{8,9})\b"),
    Rule("phone", r"\([1-9][0-9]\) ?9?[0-9]{4}-[0-9]{4}\b"),
)

# off unless asked for: a version number looks like one
ADDRESSES: tuple[Rule, ...] = (
    Rule("ip", r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\b"),
    Rule(
        "ip",
        r"\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b|\b(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}\b",
    ),
)
