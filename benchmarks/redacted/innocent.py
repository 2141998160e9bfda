"""What is no secret, however much it looks like one: redaction has to leave each line as it is."""

from __future__ import annotations

# {A36} and the like are drawn, see `kinds.drawn`
_LINES = """
Order 12345678 of 2024-05-17 at 12:30:45
order number 4111 1111 1111 1112
order #{n1}{d7} has not arrived
order {n1}{d9} was split into two parcels
my order no. 2024-{n1}{d5} is late
invoice 2024/000{d3} of 31.12.2024
Invoice INV-{n1}{d6}-A
invoice RE-2026-{d5}, due 2026-01-15
invoice GB12 ABCD 1234 5678 and DE00 1234 5678 9012 3456 78
ticket SUP-{n1}{d4} was closed
ticket number 00{d4} is open
case {n1}{d7} escalated
RMA {n1}{d6} approved
tracking 1Z{U6}03{d8}
parcel JD01460003{d8}
DHL 00340434{d12}
tracking number RR{n1}{d8}DE
customer 48213 complains
customer no. {n1}{d4}
account 48213 is active
account type 3 of 5
contract K-{n1}{d5}/24
policy 2024-A-{d3}
booking reference {L6}
booking {L2}{n1}{d2}{L1}
flight LH 2047 at 18:35 from gate B22
flight BA2490 seat 14C
train ICE 597 platform 12
seat 23A, row 42
PNR {L6}
product SKU-{n1}{d4}-BLK-XL
SKU {n1}{d5}-{n1}{d2}
item B0{U8}
article 90{n1}.{d3}.{d2}
EAN 5901234123457
EAN 4006381333931
ISBN 978-3-16-148410-0
ISBN 0-306-40615-2
ISBN 9780306406157
ISSN 2049-3630
DOI 10.1000/xyz123
doi:10.1145/3290605.3300233
arXiv 2310.06825v2
PMID 31452104
part number AB-1234-56-C
model XPS 13 9310
serial 5CG9{d3}XYZ
serial number C02{U5}MD6R
firmware 4.2.1.8041
version 1.2.3-rc_4 and sk-short
version 10.0.19045.3803
v2024.11.3 was released
python 3.11.7, numpy 1.26.4
react@18.2.0 and @types/node@20.1.0
requires pkg>=1.2,<2.0
build 20241130.4
commit {h40}
commit {h7} broke the build
sha256:{h64}
sha256 {h64}
md5 {h32}
checksum {h8}
etag "{h32}"
digest: sha512-{b86}==
integrity sha512-{b86}==
uuid {h8}-{h4}-4{h3}-a{h3}-{h12}
request id {h8}-{h4}-4{h3}-b{h3}-{h12}
x-request-id: req_{h24}
trace 00-{h32}-{h16}-01
traceparent: 00-{h32}-{h16}-01
span {h16}
session {n1}{d3} of the conference
user_id=482139
user id 48213
userId: 48213, cartId: 99213
id: 0123456789
"id": 4821390017
"order_id": "ORD-2024-{d6}"
"key": "order_2024_11"
"key": "value"
{"key": "shipping", "score": 0.93}
{"label": "billing", "confidence": 0.87}
{"id": 17, "ts": 1732900000, "ok": true}
{"ts": 1732900000123, "level": "info"}
{"lat": 52.520008, "lon": 13.404954}
{"items": [1, 2, 3, 5, 8, 13, 21, 34, 55]}
{"price": 1299.00, "currency": "EUR"}
{"tokens": 1024, "max_tokens": 4096}
max_tokens=1024 and tokens: 12345678
token of my appreciation: 12345678 thanks
next_page_token: CAUQAA1234567
cancellation token was disposed
the token limit is 128000
tokens used: 482139
tokenizer: cl100k_base
token_count=48213900
num_tokens: 100200300
the password: required, at least eight characters
password is required
the password is wrong
password reset requested at 12:30
I forgot my password, please help
password must contain 8 characters
your password has expired
"password": "Enter the password of your account"
password: "must contain eight characters"
token = CancellationTokenSource
<label>Password</label>
enter your password: it is never shown
passwords do not match
pass rate: 98.75%
boarding pass: gate B22
password: str | None = None
password = os.environ["DB_PASSWORD"]
password: ${DB_PASSWORD}
password=<your password>
password: ********
api_key = os.getenv("OPENAI_API_KEY")
api_key: ${API_KEY}
api_key=YOUR_API_KEY_HERE
api key: required
the API key is missing
secret santa is on 2024-12-20
the secret ingredient is 250g of butter
Secret Garden: a novel of 1911
the key is under the mat
key: value
primary key: id
the key point is cost
hotkey: Ctrl+Shift+P
monkey: banana, donkey: carrot
keyboard: QWERTZ 105 keys
public key infrastructure
-----BEGIN CERTIFICATE----- is how a certificate begins
ssh-keygen -t ed25519
sign in with single sign-on
signature: unreadable
signature required on delivery
author: A. Writer, 2019
author=smith
authentication failed for user bob
authorization was denied
authorization: required
Authorization header is missing
basic training starts at 09:00
Basic subscription costs 9.99 a month
basic authentication is off
bearer of bad news
bearer bonds matured in 2011
cookies are baked at 180 degrees
Cookie consent was given
cookie recipe: flour=250g, sugar=100g
PIN the post to the board
pin code of the area 110001 is Delhi
the pin is broken
we tan leather
pan of 24 cm
the pan is hot
fin de semana 2024
sin embargo 2024 fue mejor
rut in the road
visit on 01-02-2024 10:30 or 01/02/2024 10 people came
on 2024-11-29T12:30:45Z
on 2024-11-29T12:30:45.123456+01:00
Fri, 29 Nov 2026 09:19:05 GMT
29 Nov 2026, 09:19
30.11.2026 um 14:00 Uhr
12/31/2026 11:59 PM
20261129T091905Z
20261129091905
1732900000
1732900000123
1732900000123456
2024-W48-5
Q3 2024 vs Q3 2023
from 9:00 to 17:30, Mon-Fri
10-11-12 and 2010-2020
chapter 10-11-12, 555-123 and 1-2-3-4-5-6-7-8-9
pages 112-118, vol. 23(4)
1,299.00 and 2.499,00
pay 1,299.00 now @ the desk
1 234 567,89
12 345 678 people
1,234,567,890 dollars
EUR 1.234.567,89
$12,345,678.90
0.1234567890123
3.14159265358979
1e-10 and 6.02214076e23
0x7fffffff and 0xDEADBEEF
0.5 of 012 and 0 100 200
-122.4194, 37.7749
52.520008, 13.404954
48.8566 N 2.3522 E
100 200 300 400
10 20 30 40 50 60 70 80 90
1 2 3 4 5 6 7 8 9 10 11 12 13
0 1 0 0 1 1 0 1 0 1 1
8 16 32 64 128 256 512 1024
99 98 97 96 95 94 93
score 12-3, set 6-4 7-5
score 102:98 after overtime
ratio 16:9
scale 1:25000
192.168.100.200 and 10.0.0.1
8.8.8.8 answers
127.0.0.1:8080
fe80::1ff:fe23:4567:890a
2001:db8::8a2e:370:7334
00:1B:44:11:3A:B7
01-23-45-67-89-ab
10.0.0.0/16
http://localhost:6066/metrics
https://example.com:8080/path?q=1:2@3
https://shop.example.com/p/48213900?ref=mail
https://example.com/a/2024/11/29/story-1234567
https://example.com/?page=2&size=50&sort=asc
https://github.com/org/repo/issues/12345
https://github.com/org/repo/commit/{h40}
git@github.com:org/repo.git
git clone git@gitlab.com:a/b.git
ssh://host/path
file:///var/log/app-2024-11-29.log
s3://bucket/2024/11/29/part-00017.parquet
/usr/lib/python3.11/site-packages/x.py:482
C:\\Users\\me\\new\\table.txt
kafka://localhost:9092
redis://127.0.0.1:6379/0
postgresql://localhost/app
amqp://rabbit:5672
arn:aws:s3:::my-bucket/key
arn:aws:iam::123456789012:role/Admin
projects/my-project/locations/europe-west1
us-east-1a and eu-central-1
i-0{h16} is running
ami-0{h16}
vpc-{h8} and subnet-{h8}
pod web-7d9f8b6c5d-x2x7k restarted
docker image app:1.4.2-alpine
image sha256:{h12}
job 8817263 finished in 00:12:31
pid 48213 exited with 137
exit code 0
error code 80004005
error 0x80070005
HTTP 503 after 30000 ms
status 404 in 12.5 ms
[2024-11-29 12:30:45,123] INFO worker-3 done in 482 ms
2024-11-29 12:30:45.123 [main] WARN c.e.App - retry 3/5
Nov 29 09:19:05 host sshd[48213]: session opened
192.168.1.7 - - [29/Nov/2024:12:30:45 +0000] "GET / HTTP/1.1" 200 5123
Traceback (most recent call last): File "a.py", line 482
java.lang.NullPointerException at com.example.App.run(App.java:123)
TypeError: expected str, got int
at line 4821, column 39
cpu 12.5% mem 4821 MB
latency p50 12 ms p99 482 ms
throughput 482139 rows/s
x = y @ z and a @ b.T
@app.route("/users/<int:id>")
@media (max-width: 600px)
price 0.6907639503479004 and 0.0092699999999999
electric car model years 2009 2009 2010 2011 2012 2013
password: hashedPassword });
a secret drug into the water supply which will change the way people think
Input: 978-0-06-052404-0
the discount on the frying pan is 20/100
see a@b or a@b. and @someone, 3@4 = 12
follow @ann_lee on the bird site
meet @ 5pm
e.g. foo@bar without a domain
me@localhost
def sk_learn(x): return x
import sklearn as sk
sk-learn is a library
a task-force in the risk_sector
ask-me-anything-about-this-one and risk-based_scoring_of_all_things
pk_constraint_name_of_the_table
risk-adjusted-return-on-capital
gh-pages branch
ghost_writer wrote it
npm run build
npm_config_registry
pypi-server runs
hf_hub_download fetches it
xoxo, Grandma
SG.com is a domain
eyJ is how a JWT begins
AKIA is a prefix
AIzawa is a name
r8_model
xai-explainable methods
gsk_pharma shares rose
key-value store
key-management-service
glpat is GitLab's prefix
SELECT * FROM orders WHERE id = 48213900
INSERT INTO t VALUES (1, 'a', 2.5)
UPDATE users SET active = true WHERE id IN (1,2,3)
for i in range(1000000): pass
if (a > 10 && b < 20) return 30;
const MAX = 2147483647;
rgb(255, 128, 0) and #ff8800
color: #1a2b3c; width: 100px
margin: 0 10px 20px 30px
grid 12 x 24 x 36
10x20x30 cm, 2.5 kg
M8 x 40 mm screws, 100 pcs
3/4 inch, 1/2 cup
paper A4 80 g/m2
size 42 EU / 8.5 UK
1920x1080 @ 60Hz
48 MP, f/1.8, 5000 mAh
iPhone 15 Pro Max 256GB
Galaxy S24 SM-S928B
RTX 4090 24GB
Boeing 737-800
BMW 320d F30
Windows 11 23H2 build 22631.2861
room 0412, floor 4
house 221B, Baker Street
zip 10115 Berlin
ZIP 94103-1234
postcode SW1A 1AA
PLZ 80331
population 83,200,000
GDP 4.26 trillion
CO2 421 ppm
blood pressure 120/80
dose 500 mg every 8 hours
Vitamin B12 1000 mcg
ICD-10 code E11.9
CPT 99213
NCT01234567 trial
gene BRCA1 chr17:43044295-43125364
rs1801133 genotype CT
CAS 50-00-0
H2SO4 and NaHCO3
E = mc2
section 3.2.1.4
Article 6(1)(f) GDPR
§ 433 Abs. 2 BGB
case C-311/18
ISO 13616-1:2020
RFC 2616 section 14
IEEE 802.11ax
DIN EN ISO 9001:2015
UTF-8, UTF-16LE, cp1252
base64 and sha256
AES-256-GCM
utf8mb4_unicode_ci
gpt-4o-mini-2024-07-18
claude-3-5-sonnet-20241022
text-embedding-3-small
mistral-7b-instruct-v0.3
temperature=0.7 top_p=0.95 seed=42
lr=3e-4, batch=128, epochs=10
accuracy 0.9312 +/- 0.0041
n=1024, p<0.001
ISIN US0378331005
WKN 865985
AAPL 189.84 +1.25 (0.66%)
EUR/USD 1.0895
BIC DEUTDEFF500
VAT 19% of 100.00
rate 4.5% p.a.
tax 2023 was 12,345.67
salary 65,000 a year
budget 2024: 1 200 000
Hello, where is my parcel? I ordered 3 weeks ago.
The meeting is on 5 May at 10 in room 12.
Sum: 1000 + 2000 + 3000 = 6000
lottery 4 8 15 16 23 42
Fibonacci 1 1 2 3 5 8 13 21 34 55 89 144
phone case for iPhone 12
the phone is broken since 2023
call me at 5
mobile 5G since 2020
telephone exchange of 1920
fax is dead
Tel Aviv 2024
cell 12 of the table
passport photos cost 12.99
passport control took 45 minutes
the driver's license bureau opens at 9
social security is a topic of 2024
tax id is missing
routing table has 4821 entries
routing key order.created.v1
IBAN is missing
national id systems of 12 countries
seed: 42
seed phrase is what wallets call it
recovery took 12 hours
mnemonic for the planets
security code is on the back
verification code was never sent
session expired after 30 minutes
session id is empty
signed by 12 people
credentials are invalid
license: Apache-2.0
machine learning in 24 hours
curl https://example.com/api/v1/items
mysql -h localhost -P 3306 shop
docker run -p 8080:80 nginx
user:group 1000:1000
chmod 600 ~/.ssh/id_rsa
rsync -avz a b
kill -9 48213
tail -n 100 app.log
cron 0 5 * * 1
uid=1000 gid=1000
oom_score_adj=-997
inode 48213900
block 0000000000000000000{h45}
height 820000 of the chain
block hash 0x{h64}
"""
INNOCENT: tuple[str, ...] = tuple(line for line in _LINES.splitlines() if line)
