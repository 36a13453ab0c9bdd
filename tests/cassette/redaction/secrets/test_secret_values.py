"""What is taken out, and what is not: values whole, known values in every spelling, no prose."""

import base64
import json
import urllib.parse

import pytest

from agy_nb.cassette.redaction import SECRET, Redactor, find_secrets
from agy_nb.cassette.redaction.rules.field_names import secret_values


@pytest.fixture(scope="module")
def redactor():
    return Redactor(environ={}, places={})


WHOLE = {
    'DB_PASSWORD="Tr0ub4dor&3zzX9"': "Tr0ub4dor&3zzX9",
    "DB_PASSWORD=Tr0ub4dor&3zzX9": "Tr0ub4dor&3zzX9",
    "run with DB_PASSWORD=Tr0ub4dor&3zzX9 once": "Tr0ub4dor&3zzX9",
    'passphrase = "correct horse battery staple"': "correct horse battery staple",
    "out='a\\nDB_PASS=Xk29dkLq0\\n'": "Xk29dkLq0",
    "mysql --password Xk29dkLq0 -u root": "Xk29dkLq0",
    "<password>Xk29dkLq0</password>": "Xk29dkLq0",
    '<wsse:Password Type="text">Xk29dkLq0</wsse:Password>': "Xk29dkLq0",
    "dbPassword=Xk29dkLq0": "Xk29dkLq0",
    '[{"key":"password","value":"Xk29dkLq0"}]': "Xk29dkLq0",
    '[{"value":"Xk29dkLq0","key":"password"}]': "Xk29dkLq0",
    "- name: DB_PASSWORD\n  value: Xk29dkLq0": "Xk29dkLq0",
    "curl -u ada:Xk29dkLq0 https://x": "Xk29dkLq0",
    "localhost:5432:app:ada:Xk29dkLq0": "Xk29dkLq0",
    "https://ada:Xk29%40dkLq0@example.org/": "Xk29%40dkLq0",
    "mysql -u root -pXk29dkLq0 app": "Xk29dkLq0",
    "smbclient //host/share -U ada%Xk29dkLq0": "Xk29dkLq0",
    "echo Xk29dkLq0 | docker login --password-stdin": "Xk29dkLq0",
    "$pw = ConvertTo-SecureString 'Xk29dkLq0' -AsPlainText": "Xk29dkLq0",
    "$env:DB_PASSWORD = 'Xk29dkLq0'": "Xk29dkLq0",
    "define('DB_PASSWORD', 'Xk29dkLq0');": "Xk29dkLq0",
    ":password => 'Xk29dkLq0'": "Xk29dkLq0",
    'password := "Xk29dkLq0"': "Xk29dkLq0",
    'config.setPassword("Xk29dkLq0")': "Xk29dkLq0",
    "ALTER USER ada PASSWORD 'Xk29dkLq0'": "Xk29dkLq0",
    "INSERT INTO users (name, password) VALUES ('ada', 'aK29d'), ('bob', 'Yz8mQp7')": "Yz8mQp7",
    "password = 'hunter2'": "hunter2",
    "password: hunter2": "hunter2",
    "DB_PASSWORD=hunter2": "hunter2",
    "| user | password |\n|---|---|\n| ada | Xk29dkLq0 |": "Xk29dkLq0",
    "user\tpassword\nada\tXk29dkLq0\n": "Xk29dkLq0",
    '<input type="password" name="p" value="Xk29dkLq0">': "Xk29dkLq0",
    "<key>password</key>\n<string>Xk29dkLq0</string>": "Xk29dkLq0",
    '<property name="password" value="Xk29dkLq0"/>': "Xk29dkLq0",
    "The password is Xk29dkLq0.": "Xk29dkLq0",
    "login: ada / Xk29dkLq0": "Xk29dkLq0",
    "java -Dspring.datasource.password=Xk29dkLq0 -jar x": "Xk29dkLq0",
    "docker run -e DB_PASSWORD=Xk29dkLq0 app": "Xk29dkLq0",
    "kubectl create secret generic x --from-literal=password=Xk29dkLq0": "Xk29dkLq0",
    "helm install x --set db.password=Xk29dkLq0": "Xk29dkLq0",
    "aws configure set aws_secret_access_key Xk29dkLq0Xk29dkLq0": "Xk29dkLq0Xk29dkLq0",
    'requests.get(url, auth=("ada", "Xk29dkLq0"))': "Xk29dkLq0",
    "openssl enc -passin pass:Xk29dkLq0": "Xk29dkLq0",
    "+    password = 'Xk29dkLq0'": "Xk29dkLq0",
    "config.py:12:DB_PASSWORD=Xk29dkLq0": "Xk29dkLq0",
}  # fmt: skip


@pytest.mark.parametrize("text", WHOLE)
def test_value_is_taken_out_whole(text, redactor):
    clean = redactor.text(text)
    assert SECRET in clean
    assert WHOLE[text][-4:] not in clean


LEFT = [
    "the basic concepts",
    "Basic authentication is described below.",
    "The bearer of the token is the owner.",
    "token = tokenizer.next_token()",
    "token = self._next_token(line, position)",
    "password = getpass.getpass('Password: ')",
    "def login(user: str, password: str) -> Token:",
    "connect(user=user, password=password, token=token)",
    "add(a, b) is Required in /srv/app",
    "raise ValueError('password is required')",
    "parser.add_argument('--password', help='The password to log in with')",
    "secret = os.environ['CLIENT_SECRET']",
    "api_key = settings.api_key or None",
    "export TOKEN=$(gh auth token)",
    "password: ${DB_PASSWORD}",
    "Authorization: Bearer <token>",
    "https://user:password@example.org/",
    "max_tokens=4096, token_type='bearer', password_length=12",
    '"integrity": "sha512-MeSZbTMeSZbTAVlOXZQ9s1aBc+AB1gJ9LmvZFqfUTnBzyKWGgR0Wmo8d5yRP8wqHZ4Wg=="',
    "numpy-2.0.0-cp311-cp311-manylinux_2_17_x86_64.whl sha256:9059e10581ce4093f735ed23f3b9d283b9d",
    "commit 8f14e45fceea167a5a36dedd4bea2543a1b2c3d4",
    "id: 123e4567-e89b-12d3-a456-426614174000",
    "Cookie: the server sets one; session cookies expire.",
    "The signature is (a, b) -> int",
    "https://docs.python.org/3/library/secrets.html#secrets.token_hex",
]


@pytest.mark.parametrize("text", LEFT)
def test_text_without_secrets_is_as_it_was(text, redactor):
    assert redactor.text(text) == text


@pytest.mark.parametrize("after", ["&user=ada", "&amp;user=ada", " && ls", "&& ls"])
def test_value_ends_where_the_next_one_begins(after, redactor):
    text = f"try password=Xk29dkLq0{after}"
    assert redactor.text(text) == f"try password={SECRET}{after}"


def test_values_of_vague_names_are_not_learned():
    one = Redactor(environ={}, places={})
    frame = {"signature": "add(a, b)", "auth": "Required", "credentials": "/srv/app"}
    assert one.frame({"config": frame}) == {"config": frame}
    text = "add(a, b) is Required in /srv/app"
    assert one.text(text) == text


def test_schema_of_a_tool_is_as_it_was(redactor):
    schema = {"password": {"type": "string", "description": "The password"}}
    tool = {"name": "log_in", "inputSchema": {"type": "object", "properties": schema}}
    assert redactor.frame({"config": {"tools": [tool]}}) == {"config": {"tools": [tool]}}


VALUE = 's3cr3t/with+odd=chars&<"q">'
SPELLINGS = {
    "plain": VALUE,
    "in a URL": urllib.parse.quote(VALUE, safe=""),
    "in a form": urllib.parse.quote_plus(VALUE),
    "JSON": json.dumps(VALUE),
    "JSON in JSON": json.dumps(json.dumps(VALUE)),
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(VALUE.encode()).decode(),
    "base64 of user and value": base64.b64encode(b"ada:" + VALUE.encode()).decode(),
    "base64 of another user": base64.b64encode(b"al:" + VALUE.encode()).decode(),
    "base64 in the middle": base64.b64encode(b"x=1;" + VALUE.encode() + b";y=2").decode(),
    "hex": VALUE.encode().hex(),
    "upper hex": VALUE.encode().hex().upper(),
    "HTML": "s3cr3t/with+odd=chars&amp;&lt;&quot;q&quot;&gt;",
    "wrapped": 's3cr3t/wi\n    th+odd=chars&<"q">',
    "continued": 's3cr3t/wi\\\nth+odd=chars&<"q">',
    "concatenated": '"s3cr3t/wi" + "th+odd=chars&<"q">',
    "coloured": 's3cr3t\x1b[31m/with+odd=chars&<"q">',
    "unicode escapes": VALUE.replace("c", "\\u0063"),
    "percent in part": VALUE.replace("/", "%2f"),
    "zero width": VALUE.replace("r", "r\u200b"),
    "hex dump": VALUE.encode().hex(" "),
    "hex with colons": VALUE.encode().hex(":").upper(),
    "wrapped at punctuation": 's3cr3t/with+odd=chars\n&<"q">',
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_known_value_is_found_in_every_spelling(spelling):
    one = Redactor(environ={"DB_PASSWORD": VALUE}, places={})
    clean = one.text(f"It is {SPELLINGS[spelling]} here")
    assert SECRET in clean
    assert SPELLINGS[spelling][:12] not in clean
    assert SPELLINGS[spelling][-12:] not in clean


PHRASE = "correct horse & battery"
PHRASES = {
    "in a form": "correct+horse+%26+battery",
    "wrapped at a space": "correct horse\n    & battery",
    "wrapped in JSON": "correct\\nhorse & battery",
    "in a URL": "correct%20horse%20%26%20battery",
}


@pytest.mark.parametrize("spelling", PHRASES)
def test_known_value_with_spaces_is_found_in_every_spelling(spelling):
    one = Redactor(environ={"DB_PASSWORD": PHRASE}, places={})
    assert one.text(f"It is {PHRASES[spelling]} here") == f"It is {SECRET} here"


def test_spans_are_places_in_the_text_as_it_came():
    text = 'ä \\"password\\": \\"Xk29\\u0064kLq0\\" end'
    [span] = find_secrets(text)
    assert text[span.start : span.end] == "Xk29\\u0064kLq0"


KEPT = {
    "PWD": "/work/of/ada", "OLDPWD": "/work/of", "SSH_AUTH_SOCK": "/tmp/ssh-x/agent.1",
    "XDG_SESSION_ID": "c2-session", "TERM_SESSION_ID": "w0t0p0:1A2B", "GPG_KEY": "A035C8C19219",
    "PASSWORD_STORE_DIR": "/home/ada/.store", "AUTH_MODE": "certificate", "COOKIE_DOMAIN": "x.org",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/ada/key.json", "TOKEN_TYPE": "bearer99",
    "SECRET_NAME": "prod/db1", "KEYBOARD": "us-intl1", "MAX_TOKENS": "1234567",
}  # fmt: skip
LEARNED = {
    "DB_PASS": "kd82jd-72", "PGPASSWORD": "hunter2-x", "SMTP_PW": "hunter3-x",
    "SENTRY_DSN": "https://abc123def@o1.ingest.sentry.io/1", "GH_PAT": "tok-82jd72k",
    "SLACK_WEBHOOK_URL": "https://hooks.example.com/T0/B0/xyz12345", "API_KEY": "00000000",
    "DATABASE_URL": "postgres://ada:pw@db/app", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "STRIPE_KEY": "aK29dkLq0Zx", "DJANGO_SECRET_KEY": "django insecure key of ours 77",
}  # fmt: skip


def test_variables_are_learned_by_precise_names():
    found = set(secret_values(KEPT | LEARNED))
    assert found == set(LEARNED.values())


def test_allowed_values_stay():
    import re

    one = Redactor(
        environ={"API_KEY": "public-key-1"},
        places={},
        allow=["public-key-1", re.compile(r"demo-\w+")],
    )
    frame = {"config": {"apiKey": "public-key-1", "password": "demo-77", "token": "x"}}
    assert one.frame(frame) == frame
    assert one.text("password = 'demo-abc1'") == "password = 'demo-abc1'"
    assert SECRET in one.text("password = 'other-abc1'")
