"""Authlib, with joserfc for the keys: what it sees of a running Mapae, as one line of JSON."""

import json
import os

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import KeySet

ISSUER, CLIENT_ID, SECRET = os.environ["ISSUER"], os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
USERNAME, PASSWORD = os.environ["USERNAME"], os.environ["PASSWORD"]

metadata = AuthorizationServerMetadata(requests.get(get_well_known_url(ISSUER, external=True), timeout=10).json())


def complaint(check):
    try:
        getattr(metadata, check)()
    except ValueError as error:
        return str(error)


def session(secret=SECRET, method="client_secret_basic", client_id=CLIENT_ID):
    return OAuth2Session(client_id, secret, token_endpoint_auth_method=method, token_endpoint=metadata["token_endpoint"])


def error(call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except OAuthError as error:
        return error.error


def introspect(token):
    return client.introspect_token(metadata["introspection_endpoint"], token).json()


client = session()
first = dict(client.fetch_token(username=USERNAME, password=PASSWORD, scope="me items"))
verified = jwt.decode(first["access_token"], KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json()))
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": ISSUER}, exp={"essential": True}
).validate(verified.claims)
user_info = client.get(metadata["userinfo_endpoint"]).json()
second = dict(client.refresh_token(refresh_token=first["refresh_token"], scope="me"))
posted = session(method="client_secret_post").fetch_token(grant_type="client_credentials", scope="items")
public = session(None, "none", "mapae")
opened = dict(public.fetch_token(username=USERNAME, password=PASSWORD, scope="me"))
continued = dict(public.refresh_token(refresh_token=opened["refresh_token"]))
active = introspect(second["access_token"])
revoked = client.revoke_token(metadata["revocation_endpoint"], second["refresh_token"], "refresh_token")

print(json.dumps({
    "issuer": metadata["issuer"],
    "complaints": [said for check in metadata.REGISTRY_KEYS if (said := complaint(f"validate_{check}"))],
    "public_client": [opened["scope"], continued["scope"], opened["refresh_token"] != continued["refresh_token"]],
    "first": first,
    "verified": {"typ": verified.header["typ"], **verified.claims},
    "user_info": user_info,
    "second": second,
    "client_credentials": dict(posted),
    "active": active,
    "revocation_status": revoked.status_code,
    "after": introspect(second["access_token"]),
    "errors": {
        "wrong secret": error(session("wrong").fetch_token, grant_type="client_credentials"),
        "wrong posted secret": error(session("x", "client_secret_post").fetch_token, grant_type="client_credentials"),
        "wrong password": error(session().fetch_token, username=USERNAME, password="wrong"),
        "wrong refresh token": error(session().refresh_token, refresh_token="mr_wrong"),
        "ended session": error(session().refresh_token, refresh_token=second["refresh_token"]),
        "scope that does not exist": error(client.fetch_token, username=USERNAME, password=PASSWORD, scope="nothing"),
        "unknown grant": error(session().fetch_token, grant_type="authorization_code", code="x"),
    },
}))
