"""The side of fastapi-users of a shared user table: one JSON object on a line asks, one answers. Argument: the
SQLite file or the URL of a PostgreSQL database."""

import asyncio
import json
import sys
import uuid
from importlib.metadata import version

from fastapi.security import OAuth2PasswordRequestForm
from fastapi_users import BaseUserManager, UUIDIDMixin, schemas
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    pass


class Update(schemas.BaseUserUpdate):
    pass


async def create(manager, name, password):
    user = await manager.create(schemas.BaseUserCreate(email=name, password=password))
    return str(user.id)


async def set_password(manager, name, password):
    await manager.update(Update(password=password), await manager.get_by_email(name))


async def login(manager, name, password):
    form = OAuth2PasswordRequestForm(username=name, password=password)
    user = await manager.authenticate(form)
    return str(user.id) if user and user.is_active else None


async def set_active(manager, name, active):
    await manager.update(Update(is_active=active), await manager.get_by_email(name))


async def row(manager, name):
    user = await manager.get_by_email(name)
    fields = ("is_active", "is_superuser", "is_verified", "hashed_password")
    return {"id": str(user.id), **{field: getattr(user, field) for field in fields}}


ACTIONS = {action.__name__: action for action in (create, set_password, login, set_active, row)}


async def main():
    where = sys.argv[1]
    url = where.replace("postgres:", "postgresql+psycopg:", 1) if ":" in where else f"sqlite+aiosqlite:///{where}"
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    print(json.dumps(version("fastapi-users")), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        async with sessions() as session:
            manager = Manager(SQLAlchemyUserDatabase(session, User))
            print(json.dumps(await ACTIONS[asked.pop("do")](manager, **asked)), flush=True)


asyncio.run(main())
