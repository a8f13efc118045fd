"""The side of Flask-Security of a shared user table: one JSON object on a line asks, one answers. Arguments: the SQLite
file or the URL of a PostgreSQL database, and SECURITY_PASSWORD_SALT."""

import json
import sys
from importlib.metadata import version

from flask import Flask
from flask_security import Security, SQLAlchemyUserDatastore, hash_password
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy

where = sys.argv[1]
app = Flask(__name__)
app.config.update(
    SECRET_KEY="only-a-test",
    SECURITY_PASSWORD_SALT=sys.argv[2],
    SQLALCHEMY_DATABASE_URI=(
        where.replace("postgres:", "postgresql+psycopg:", 1) if ":" in where else f"sqlite:///{where}"
    ),
)
db = SQLAlchemy(app)
fsqla_v3.FsModels.set_db_info(db)


class Role(db.Model, fsqla_v3.FsRoleMixin):
    pass


class User(db.Model, fsqla_v3.FsUserMixin):
    pass


store = SQLAlchemyUserDatastore(db, User, Role)
Security(app, store)


def find(name):
    db.session.expire_all()
    return store.find_user(email=name)


def create(name, password):
    user = store.create_user(email=name, password=hash_password(password))
    db.session.commit()
    return str(user.id)


def set_password(name, password):
    user = find(name)
    user.password = hash_password(password)
    store.set_uniquifier(user)
    store.put(user)
    db.session.commit()


def login(name, password):
    user = find(name)
    good = user is not None and user.is_active and user.verify_and_update_password(password)
    db.session.commit()
    return str(user.id) if good else None


def set_active(name, active):
    user = find(name)
    user.active = active
    db.session.commit()


def row(name):
    user = find(name)
    return {"id": str(user.id), "uniquifier": user.fs_uniquifier, "username": user.username, "hash": user.password}


ACTIONS = {action.__name__: action for action in (create, set_password, login, set_active, row)}
with app.app_context():
    db.create_all()
    try:
        made_by = version("Flask-Security")
    except Exception:
        made_by = version("Flask-Security-Too")
    print(json.dumps(made_by), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(ACTIONS[asked.pop("do")](**asked)), flush=True)
        db.session.rollback()
