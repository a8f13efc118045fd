"""Django's side of a shared user table: one JSON object on a line asks, one answers.

Arguments: the SQLite file or the URL of a PostgreSQL database, and the iterations of its PBKDF2 (0 for Django's own
number)."""

import json
import sys
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

WHERE, ITERATIONS = urlsplit(sys.argv[1]), int(sys.argv[2])


class Hasher(PBKDF2PasswordHasher):
    iterations = ITERATIONS or PBKDF2PasswordHasher.iterations


HASHERS = "django.contrib.auth.hashers."
SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": WHERE.path,
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
}
POSTGRESQL = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": WHERE.hostname,
    "PORT": WHERE.port,
    "USER": WHERE.username,
    "PASSWORD": WHERE.password,
    "NAME": WHERE.path[1:],
}
settings.configure(
    DATABASES={"default": POSTGRESQL if WHERE.scheme else SQLITE},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    PASSWORD_HASHERS=["__main__.Hasher"]
    + [
        HASHERS + name
        for name in (
            "PBKDF2SHA1PasswordHasher",
            "Argon2PasswordHasher",
            "BCryptSHA256PasswordHasher",
            "BCryptPasswordHasher",
            "ScryptPasswordHasher",
        )
    ],
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import authenticate, get_user_model  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.core.management import call_command  # noqa: E402

User = get_user_model()


def create(name, password, hasher="default"):
    user = User(username=name, email=f"{name}@example.com", password=make_password(password, hasher=hasher))
    user.save()
    return user.pk


def set_password(name, password):
    user = User.objects.get(username=name)
    user.set_password(password)
    user.save(update_fields=["password"])


def login(name, password):
    user = authenticate(username=name, password=password)
    return user and user.pk


def set_active(name, active):
    assert User.objects.filter(username=name).update(is_active=active) == 1


def delete(name):
    User.objects.get(username=name).delete()


def row(name):
    user = User.objects.get(username=name)
    fields = ("email", "first_name", "last_name", "password", "is_active", "is_staff", "is_superuser")
    shown = {field: getattr(user, field) for field in fields}
    return {**shown, "joined": user.date_joined.year, "full_clean": user.full_clean()}


def load(count, first, second):
    for number in range(count):
        create(f"django{number}", first)
        set_password(f"django{number}", second)
        set_active(f"django{number}", number % 2 == 0)
    return count


def refused():
    """Rows that nobody can take over as they are, and one without a password."""
    User.objects.create(username="nobody", password=make_password(None))
    User.objects.create(username="other@example.com", email="ann2@example.com", password="md5$salt$x")
    User.objects.create(username="twin", email="ann@example.com", password=User.objects.get(username="ann").password)


def names():
    return sorted(User.objects.values_list("username", flat=True))


ACTIONS = (create, set_password, login, set_active, delete, row, load, refused, names)
ACTIONS = {action.__name__: action for action in ACTIONS}
call_command("migrate", verbosity=0)
print(json.dumps(django.get_version()), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(ACTIONS[asked.pop("do")](**asked)), flush=True)
