"""Secrets that only their names give away: what stands after `password`, `api_key`, `passport no.`."""

from __future__ import annotations

from jitr.models.redaction.checks import after_name, drawn, key_value, numbered, password, phone, phrase
from jitr.models.redaction.pattern import Rule

_KEYS = (
    r"(?:api|access|secret|private|account|shared|sharedaccess|encryption|signing|auth|master|ssh|storage"
    r"|subscription|service|app|application|client|consumer|webhook|deploy|admin|integration|write|read"
    r"|live|test"
    r"|publishable|server|function|host|project|sas|hmac|aes|rsa|session|instrumentation|ingestion"
    r"|data ?dog|dd|license)"
    r"[ _.-]{0,2}(?:api[ _.-]?)?key(?:[ _.-]?id)?"
)
_TOKENS = (
    r"token|secret(?:[ _.-]?(?:key|value|id))?|sig|signature|credentials?|jsessionid|phpsessid"
    r"|sessionid|session[ _.-]?id"
    r"|\bsid|connect\.sid|access[ _.-]?code|auth[ _.-]?code|client[ _.-]?secret|schlüssel|zugangsschlüssel"
)
_PASSWORDS = (
    r"passw(?:or)?d|passwort|kennwort|pass-?phrase|pass-?code|pwd|mysql_pwd|\bpw|(?:\b|_)pass"
    r"|mot de passe|contrase..?a|senha"
    r"|wachtwoord|parola|lösenord|\bclave|passwd"
)
_GIVEN = (
    r"(?:[\"'\s]{0,4}(?:[=-]>|:=|[:=])[\"'`\s]{0,4}|>|[\"'`]? {1,2}(?:is|are|was|ist|lautet|est"
    r"|es):? {1,2}[\"'`]?)"
)
_VALUE = r"([^\s\"'`,;&<>(){}\[\]|]{4,})"
_NUMBER = (
    r"(?:[ _-]?(?:no\b|nr\b|num\b|number|id\b|#|code))?\.?[\"'\s]{0,3}(?:\s{0,2}[:=#]\s{0,2}| (?:is|ist"
    r"|est|es|=):? | )[\"']?"
)
_PAPERS = (
    r"\bssn|social[ _-]security|tax[ _-]?id(?:entification)?|\bt?itin|\btin|national[ _-]id(?:entity"
    r"|entification)?(?: card)?"
    r"|identity[ _-]card|\bid[ _-]card|passport|driver'?s?[ _-]licen[cs]e|driving[ _-]licen[cs]e|\bnino"
    r"|national[ _-]insurance"
    r"|\bnhs|social[ _-]insurance|\bsin|aadhaa?r|\bpan(?: card)?|\bcpf|\bcnpj|\bcurp|\brfc|\bdni|\bnie"
    r"|\bnif|\bcif|\bnir"
    r"|codice fiscale|\bbsn|burgerservicenummer|\bpesel|\bnip|personnummer|\bcpr|henkilötunnus|\bhetu"
    r"|\brut|\bcuit|\bcuil|c.dula"
    r"|steuer-?id(?:entifikationsnummer|nr)?|steuernummer|sozialversicherungsnummer"
    r"|(?:personal)?ausweis(?:nummer)?|reisepass"
    r"(?:nummer)?|medical[ _-]record|\bmrn|patient[ _-]id|health[ _-]card|medicare|\btfn|tax file"
    r"|\bnric|\bfin\b|my ?number"
    r"|individual number|resident registration|(?:bank|checking|savings)[ _-]account|account[ _-]number"
    r"|account no|\bacct"
    r"|sort[ _-]code|routing|\baba|\biban|\bbsb|kontonummer|passeport|pasaporte|s.curit. sociale"
    r"|fødselsnummer|rodné číslo|\begn"
)

NAMED: tuple[Rule, ...] = (
    Rule(
        "key",
        r"(?i)(?:token|secret|(?:api|app|auth|access|private|heroku"
        r"|trello) ?key)s? [\"'`]?([a-z0-9+/_.~-]{16,}={0,2})",
        after_name,
    ),
    Rule("key", r"(?i)(?:\bkey) [\"'`]?([a-z0-9+/]{20,}={0,2})", drawn),
    Rule("key", r"(?i)\b(?:password|passwort|kennwort) [\"'`]?([a-z0-9!#%&*+@^_-]{6,})", after_name),
    Rule("key", rf"(?i)(?:{_PASSWORDS})[\"'\s]{{0,3}}[:=]\s{{0,3}}\"([^\"\n\[\]]{{8,100}})\"", phrase),
    Rule("key", rf"(?i)(?:{_PASSWORDS})[\"'\s]{{0,3}}[:=]\s{{0,3}}'([^'\n\[\]]{{8,100}})'", phrase),
    Rule(
        "id",
        r"(?i)\b(?:dob|date of birth|geburtsdatum)[\"'\s]{0,3}"
        r"(?:[:=]| is)[\"'\s]{0,3}([0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4})\b",
    ),
    Rule("key", r"\bWIFI:[^\n]{0,80};P:([^;\n\[\]]{4,});"),
    Rule("key", rf"(?i)(?:{_KEYS}|{_TOKENS}){_GIVEN}{_VALUE}", key_value),
    Rule("key", rf"(?i)(?:{_PASSWORDS}){_GIVEN}{_VALUE}", password),
    Rule(
        "key",
        r"(?i)(?:--?password[ =]|\bsshpass -p ?[\"']?|\bmysql\b[^\n]{0,80} -p)([^\s\"'$<>\[\]]{4,})",
        password,
    ),
    Rule("key", r"(?i)\bcurl\b[^\n]{0,200}(?: -u| --user) ?[\"']?([^\s\"'$<>\[\]:]+:[^\s\"'$<>\[\]]{3,})"),
    Rule("key", r"(?i)\bmachine\s[^\s]{1,100}\s{1,5}login\s[^\s]{1,100}\s{1,5}password\s([^\s\[\]]{3,})"),
    Rule(
        "key",
        r"(?i)\b(?:cvv2?|cvc2?|cid|security code|pin(?: code| number)?|otp|one-time (?:code|password"
        r"|pin)|passcode|tan"
        r"|(?:verification|backup|recovery) code|2fa code|login code)[\"'\s]{0,3}(?:\s{0,2}[:=#]\s{0,2}"
        r"| is:? | )[\"']?([0-9]{3,8})\b",
    ),
    Rule(
        "key",
        r"(?i)\b(?:mnemonic|(?:seed|recovery|secret|backup) (?:phrase"
        r"|words))[^a-z\n]{1,4}((?:[a-z]{3,8} ){11,23}[a-z]{3,8})\b",
    ),
    Rule(
        "phone",
        r"(?i)\b(?:tel(?:efon|ephone|\.)?|phone|mobile|cell|handy|fax|whatsapp|call (?:me|us) (?:at|on)"
        r"|ring (?:me|us) on|sms)"
        r"(?: number| no\.?| nr\.?)?[\"'\s]{0,3}(?:\s{0,2}[:.]\s{0,2}| is "
        r"| )[\"']?(\(?[0-9][0-9 ()./-]{5,18}[0-9])\b",
        phone(7),
    ),
    Rule(
        "id",
        rf"(?i)(?:{_PAPERS}){_NUMBER}([a-z]{{0,4}}[ .-]?[0-9][0-9a-z]*"
        r"(?:[ ./-][0-9a-z]*[0-9][0-9a-z]*)*(?:-[a-z0-9])?)",
        numbered(6),
    ),
)
