"""FastAPI's tutorial "OAuth2 with Password (and hashing), Bearer with JWT tokens", step for step.

The same dependencies, models, libraries and costs as there, and the users in memory. There are more of them than one,
all with the hash that the environment names, and the key comes from the environment too.
"""

import os
from datetime import datetime, timedelta, timezone
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, status
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from jwt.exceptions import InvalidTokenError
from pwdlib import PasswordHash
from pydantic import BaseModel

SECRET_KEY = os.environ["SECRET_KEY"]
ALGORITHM = "HS256"
ACCESS_TOKEN_EXPIRE_MINUTES = 60

users_db = {
    f"user{number}": {
        "username": f"user{number}",
        "full_name": f"User {number}",
        "email": f"user{number}@example.com",
        "hashed_password": os.environ["PASSWORD_HASH"],
        "disabled": False,
    }
    for number in range(int(os.environ["USERS"]))
}


class Token(BaseModel):
    access_token: str
    token_type: str


class TokenData(BaseModel):
    username: str | None = None


class User(BaseModel):
    username: str
    email: str | None = None
    full_name: str | None = None
    disabled: bool | None = None


class UserInDB(User):
    hashed_password: str


password_hash = PasswordHash.recommended()
dummy_hash = password_hash.hash("dummy")
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")
app = FastAPI()


def find_user(username: str | None) -> UserInDB | None:
    found = users_db.get(username)
    return UserInDB(**found) if found else None


def authenticate(username: str, password: str) -> UserInDB | None:
    user = find_user(username)
    matches = password_hash.verify(password, user.hashed_password if user else dummy_hash)
    return user if user and matches else None


def create_access_token(claims: dict, lifetime: timedelta) -> str:
    return jwt.encode(claims | {"exp": datetime.now(timezone.utc) + lifetime}, SECRET_KEY, algorithm=ALGORITHM)


def unauthorized(detail: str) -> HTTPException:
    return HTTPException(status.HTTP_401_UNAUTHORIZED, detail, {"WWW-Authenticate": "Bearer"})


async def get_current_user(token: Annotated[str, Depends(oauth2_scheme)]) -> UserInDB:
    try:
        claims = jwt.decode(token, SECRET_KEY, algorithms=[ALGORITHM])
    except InvalidTokenError:
        raise unauthorized("Could not validate credentials")
    user = find_user(TokenData(username=claims.get("sub")).username)
    if user is None:
        raise unauthorized("Could not validate credentials")
    return user


async def get_current_active_user(user: Annotated[User, Depends(get_current_user)]) -> User:
    if user.disabled:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "Inactive user")
    return user


@app.post("/token")
async def login_for_access_token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    user = authenticate(form.username, form.password)
    if user is None:
        raise unauthorized("Incorrect username or password")
    lifetime = timedelta(minutes=ACCESS_TOKEN_EXPIRE_MINUTES)
    return Token(access_token=create_access_token({"sub": user.username}, lifetime), token_type="bearer")


@app.get("/users/me/")
async def read_users_me(user: Annotated[User, Depends(get_current_active_user)]) -> User:
    return user
