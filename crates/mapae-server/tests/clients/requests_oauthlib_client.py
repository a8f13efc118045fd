"""requests-oauthlib, with PyJWT's PyJWKClient: what it sees of a running Mapae, as one line of JSON."""

import json
import os

import jwt
import requests
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

ISSUER, CLIENT_ID, SECRET = os.environ["ISSUER"], os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
USERNAME, PASSWORD = os.environ["USERNAME"], os.environ["PASSWORD"]
BASIC = HTTPBasicAuth(CLIENT_ID, SECRET)

metadata = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server", timeout=10).json()
TOKEN = metadata["token_endpoint"]
keys = jwt.PyJWKClient(metadata["jwks_uri"])


def person(scope=None):
    return OAuth2Session(client=LegacyApplicationClient(CLIENT_ID, scope=scope))


def sign_in(password=PASSWORD, secret=SECRET, scope=None):
    return person(scope).fetch_token(TOKEN, username=USERNAME, password=password, auth=HTTPBasicAuth(CLIENT_ID, secret))


def error(call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except (OAuth2Error, jwt.PyJWTError) as error:
        return [type(error).__name__, getattr(error, "error", None)]


def verify(token, audience=ISSUER):
    key = keys.get_signing_key_from_jwt(token)
    return jwt.decode_complete(token, key, issuer=ISSUER, audience=audience, options={"require": ["exp", "iat", "jti"]})


def ask(session, endpoint, token):
    """Its own client writes the revocation request, and an introspection is the same form."""
    url, headers, body = session._client.prepare_token_revocation_request(metadata[endpoint], token)
    return requests.post(url, data=body, headers=headers, auth=BASIC, timeout=10)


session = person(["me", "items"])
first = dict(session.fetch_token(TOKEN, username=USERNAME, password=PASSWORD, auth=BASIC))
verified = verify(first["access_token"])
user_info = session.get(metadata["userinfo_endpoint"]).json()
second = dict(session.refresh_token(TOKEN, auth=BASIC))
job = OAuth2Session(client=BackendApplicationClient(CLIENT_ID, scope=["items"]))
posted = dict(job.fetch_token(TOKEN, client_secret=SECRET, include_client_id=True))
active = ask(session, "introspection_endpoint", second["access_token"]).json()
revoked = ask(session, "revocation_endpoint", second["refresh_token"])
changed = first["access_token"][:-6] + ("AAAAAA" if first["access_token"][-6:] != "AAAAAA" else "BBBBBB")

print(json.dumps({
    "issuer": metadata["issuer"],
    "algorithm": verified["header"]["alg"],
    "first": first,
    "verified": {"typ": verified["header"]["typ"], **verified["payload"]},
    "user_info": user_info,
    "second": second,
    "client_credentials": posted,
    "active": active,
    "revocation_status": revoked.status_code,
    "after": ask(session, "introspection_endpoint", second["access_token"]).json(),
    "errors": {
        "wrong secret": error(sign_in, secret="wrong"),
        "wrong password": error(sign_in, password="wrong"),
        "wrong refresh token": error(person().refresh_token, TOKEN, refresh_token="mr_wrong", auth=BASIC),
        "ended session": error(person().refresh_token, TOKEN, refresh_token=second["refresh_token"], auth=BASIC),
        "scope that does not exist": error(sign_in, scope=["nothing"]),
        "changed signature": error(verify, changed),
        "another audience": error(verify, first["access_token"], "https://else.example"),
        "refresh token as access token": error(verify, first["refresh_token"]),
    },
}))
