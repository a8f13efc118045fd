"""An application after FastAPI's tutorial on SQLAlchemy: one JSON object on a line asks, one answers. Arguments: the
SQLite file or the URL of a PostgreSQL database, and the names of the table and of the column of hashes."""

import json
import sys

import bcrypt
import sqlalchemy
from sqlalchemy import Boolean, Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base

where, TABLE, HASH = sys.argv[1:]
url = where.replace("postgres:", "postgresql+psycopg:", 1) if ":" in where else f"sqlite:///{where}"
Base = declarative_base()


class User(Base):
    __tablename__ = TABLE
    id = Column(Integer, primary_key=True, index=True)
    email = Column(String, unique=True, index=True)
    hashed_password = Column(HASH, String)
    is_active = Column(Boolean, default=True)


engine = create_engine(url)
Base.metadata.create_all(bind=engine)


def create(name, password):
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    with Session(engine) as session:
        user = User(email=name, hashed_password=hashed)
        session.add(user)
        session.commit()
        return user.id


def set_active(name, active):
    with Session(engine) as session:
        session.query(User).filter(User.email == name).update({"is_active": active})
        session.commit()


def many(count, password):
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    rows = ({"email": f"user{n}@example.com", "hashed_password": hashed} for n in range(count))
    with Session(engine) as session:
        session.bulk_insert_mappings(User, rows)
        session.commit()
    return count


ACTIONS = {action.__name__: action for action in (create, set_active, many)}
print(json.dumps(sqlalchemy.__version__), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(ACTIONS[asked.pop("do")](**asked)), flush=True)
