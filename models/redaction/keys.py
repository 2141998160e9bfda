"""Keys and tokens that say by their beginning what they are."""

from __future__ import annotations

from jitr.models.redaction.checks import basic, cookie, drawn, mixed
from jitr.models.redaction.pattern import Rule

_T = "[A-Za-z0-9_-]"
_A = "[A-Za-z0-9]"
_HEADER = r"(?i:\b(?:proxy-)?authorization)[\"'\s]{0,3}[:=][\"'\s]{0,3}"


def _key(regex: str) -> Rule:
    return Rule("key", regex, broken=True)


KEYS: tuple[Rule, ...] = (
    # a header alone is enough: a key that was cut off unlocks too
    Rule(
        "key",
        r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
        r"(?:(?:[^-]|-{1,3}[^-])*-{4,5} ?END [A-Z0-9 ]{0,50}-{4,5}"
        r"|(?:\s*[A-Za-z0-9+/=]{16,})*(?:\s*[A-Za-z0-9+/]+={1,2})?)",
    ),
    Rule("key", r"PuTTY-User-Key-File-[0-9]: [^\0]*Private-MAC: [0-9a-f]+"),
    _key(r"AGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    # LLM providers, hubs
    Rule("key", rf"\b(?:sk|pk|rk)[-_](?:[a-z]+[0-9]{{0,2}}[-_]){{0,3}}{_T}{{16,}}", drawn, broken=True),
    _key(
        rf"\b(?:gsk_|xai-|pplx-|r8_|hf_|fw_|csk-|tgp_v1_|nvapi-|jina_|pcsk_|lsv2_[ps][tk]_|esecret_"
        rf"|voy-|pa-){_T}{{20,}}"
    ),
    # code and packages
    _key(rf"\b(?:gh[pousr]_{_A}{{20,}}|github_pat_[A-Za-z0-9_]{{20,}})"),
    _key(rf"\b(?:gl(?:pat|ptt|dt|rt|rtr|cbt|ft|soat|imt|agent)-|GR1348941){_T}{{16,}}"),
    _key(rf"\b(?:npm_{_A}{{30,}}|pypi-{_T}{{20,}}|rubygems_[a-f0-9]{{30,}}|dckr_(?:pat|oat)_{_T}{{20,}})"),
    _key(
        rf"\b(?:ATATT3|ATBB|ATCTT3|ATSTT3)[A-Za-z0-9_=-]{{20,}}|\bCLOJARS_[a-z0-9]{{30,}}"
        rf"|\boy2[a-z0-9]{{43}}\b|\bcio{_A}{{32}}\b"
    ),
    # clouds
    _key(r"\b(?:A[KSB]IA|A3T[A-Z0-9]|AROA|ACCA)[0-9A-Z]{16}\b"),
    _key(rf"\b(?:AIza{_T}{{30,}}|GOCSPX-{_T}{{20,}}|ya29\.{_T}{{16,}}|1//0{_T}{{20,}})"),
    _key(
        rf"\b(?:do[opr]_v1_[a-f0-9]{{20,}}|hvs\.{_T}{{20,}}|hvb\.{_T}{{20,}}|dp\.(?:pt|st|ct|sa|scim"
        rf"|audit)\.[A-Za-z0-9_.-]{{20,}})"
    ),
    Rule(
        "key",
        rf"\b{_A}{{14}}\.atlasv1\.{_T}{{40,}}|\b{_T}{{3}}[0-9]Q~[A-Za-z0-9_.~-]{{31,34}}",
        broken=True,
        sign=r"\.atlasv1\.|[0-9]Q~",
    ),
    _key(
        rf"\b(?:dapi[a-f0-9]{{32}}|glsa_{_T}{{20,}}|glc_[A-Za-z0-9+/=]{{20,}}|NRAK-[A-Z0-9]{{20,}}"
        rf"|NRII-{_T}{{20,}}|PMAK-[a-f0-9-]{{30,}})"
    ),
    _key(
        rf"\b(?:sbp_[a-f0-9]{{30,}}|sb_secret_{_T}{{16,}}|sntr(?:ys|yu)_[A-Za-z0-9+/=_-]{{20,}}"
        rf"|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{{20,}}|vercel_{_T}{{20,}}|vcp_{_T}{{20,}}"
        rf"|nfp_{_T}{{20,}}|fo1_{_T}{{20,}}|tskey-{_T}{{16,}}|CFPAT-{_T}{{30,}}|v1\.0-[a-f0-9]{{20,}}"
        rf"|phc_{_A}{{30,}}|phx_{_A}{{30,}}|rnd_{_A}{{20,}}|hrku-{_T}{{30,}}|HRKU-{_T}{{30,}})"
    ),
    # messages and money
    _key(
        r"\bxox[abcdeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{10,}|\bxoxe\.xox[bp]-[A-Za-z0-9-]{10,}"
    ),
    _key(r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{16,})"),
    _key(
        r"(?:discord(?:app)?\.com/api/webhooks|webhook\.office\.com/webhookb2"
        r"|api\.telegram\.org/bot)/?([A-Za-z0-9@:/_-]{20,})"
    ),
    _key(
        rf"\b[MNO][A-Za-z0-9_-]{{23,27}}\.[A-Za-z0-9_-]{{6}}\.[A-Za-z0-9_-]{{27,}}|(?:\b"
        rf"|bot)[0-9]{{8,10}}:A[A-Za-z]{_T}{{33}}"
    ),
    Rule("key", r"\b(?:AC|SK)[a-f0-9]{32}\b", broken=True),
    _key(
        rf"\bSG\.{_T}{{16,}}\.{_T}{{16,}}|\bkey-{_A}{{32}}\b|\b[a-f0-9]{{32}}-us[0-9]{{1,2}}\b"
        rf"|\bxkeysib-[a-f0-9]{{40,}}-{_A}+|\bmd-{_T}{{22}}\b|\bre_{_A}{{8,}}_{_A}{{16,}}"
    ),
    _key(
        rf"\bwhsec_[A-Za-z0-9+/=]{{16,}}|\bsq0(?:atp|csp|idp)-{_T}{{20,}}|\bEAAA{_T}{{56,}}"
        rf"|\bEAA[A-Z]{_A}{{40,}}|\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{{32}}"
    ),
    _key(
        r"access_token\$(?:production|sandbox)\$[a-z0-9]{13,}\$[a-f0-9]{32}|\bamzn\.(?:mws"
        r"|oauth)\.[a-z0-9.-]{20,}|\bAQ[A-Z]{1}[A-Za-z0-9_-]{80,}"
    ),
    _key(
        rf"\bpi_{_A}{{20,}}_secret_{_A}{{20,}}|\brzp_(?:live|test)_{_A}{{14}}"
        rf"|\b00D{_A}{{12,15}}![A-Za-z0-9._]{{60,}}|\bAPA91b{_T}{{100,}}"
    ),
    # things of work
    _key(
        rf"\bCCIPAT_{_A}{{20,}}_[a-f0-9]{{40}}|\bbkua_[a-f0-9]{{40}}|\bsq[upa]_[a-f0-9]{{40}}"
        rf"|\bAKCp{_A}{{60,}}|\bcmVmdGtu{_A}{{40,}}|\bsess-{_A}{{40}}"
    ),
    _key(
        r"\b[0-9]/[0-9]{16}:[a-f0-9]{32}\b|\bLS0tLS1CRUdJTi(?:BSU0EgUFJJVk|BQUklWQV|BPUEVOU1NI"
        r"|BFQyBQUklW|BFTkNSWV)[A-Za-z0-9+/=]+"
    ),
    Rule("key", rf"\b00{_T}{{40}}\b|\bs\.{_A}{{24}}\b|\b(?:[A-Z0-9]{{5}}-){{4}}[A-Z0-9]{{5}}\b", mixed),
    _key(
        rf"\b(?:lin_(?:api|oauth)_{_A}{{30,}}|secret_{_A}{{40,}}|ntn_{_A}{{30,}}"
        rf"|pat{_A}{{14}}\.[a-f0-9]{{40,}}|fig[dou]r?_{_T}{{20,}}|sl\.[A-Za-z0-9_-]{{60,}}|pat-(?:na"
        rf"|eu)[0-9]-[a-f0-9-]{{30,}}|EZ[AT]K{_A}{{30,}}|duffel_(?:test|live)_{_T}{{20,}}"
        rf"|ops_eyJ{_T}{{40,}}|PAT{_A}{{30,}})"
    ),
    _key(rf"\beyJ{_T}{{8,}}\.{_T}{{8,}}(?:\.{_T}*){{0,3}}"),
    _key(r"\b[5KL][1-9A-HJ-NP-Za-km-z]{50,51}\b|\b[xyz]prv[1-9A-HJ-NP-Za-km-z]{80,}"),
    # of headers
    Rule("key", r"(?i:\bbasic):? {1,3}([A-Za-z0-9+/]{8,}={0,2})", basic),
    Rule("key", r"(?i:\bbearer)[ :]{1,3}([A-Za-z0-9._~+/-]{16,}=*)", drawn, broken=True),
    Rule("key", rf"{_HEADER}(?i:[a-z][a-z0-9_-]{{1,20}} )?([^\s\"'\[\]{{}}<>$,;]{{8,}})", drawn),
    Rule(
        "key",
        rf"{_HEADER}(?i:digest|hmac|oauth|aws4-hmac-sha256|snowflake) ([^\r\n\[\]{{}}<>$]{{8,}})",
        drawn,
    ),
    Rule("key", r"(?:\"auth\"\s{0,2}:\s{0,2}\"|\b_auth\s{0,2}=\s{0,2})([A-Za-z0-9+/]{8,}={0,2})", basic),
    Rule(
        "key",
        r"(?i:\b(?:set-)?cookie)[\"'\s]{0,3}:[\"'\s]{0,3}"
        r"([^\s;=\"'\[\]]{1,100}=[^\s;\"'\[\]]+(?:; ?[^\s;=\"'\[\]]{1,100}(?:=[^\s;\"'\[\]]*)?)*)",
        cookie,
    ),
    # of URLs
    Rule("key", r":/{2,4}([^\s/:@\"'<>\[\]]*:[^\s/\"'<>\[\]]+)@"),
    Rule("key", rf":/{{2,4}}({_T}{{16,}})@", mixed),
)
