"""Logging in by the site's OIDC provider: the account is made at the first login, its role and projects follow the provider's."""

import re
from functools import lru_cache

from contracts.errors import ConflictError, ForbiddenError, InvalidRequestError, UnauthorizedError
from contracts.identity import PROJECT_PATTERN, AccountKind, Role, TokenPair
from database.unit_of_work import UnitOfWork
from security.identity.access_tokens import AccessTokens
from security.identity.oidc import Challenge, OidcProvider, refused, values_of
from settings import Settings
from stages.accounts import may_be_named
from stages.logins import open_session
from stages.services import Services

LOGIN_COOKIE = "tuneway_oidc"
"""Holds a signed Challenge for the ten minutes that a login may take."""
RANK = (Role.ADMIN, Role.ML_ENGINEER, Role.ANALYST, Role.VIEWER)
"""Of several roles that a person's groups give, the first counts."""


def provider_of(settings: Settings) -> OidcProvider:
    """The site's provider. Raises InvalidRequestError where none is set."""
    if settings.oidc_issuer is None:
        raise InvalidRequestError(
            "This installation has no OIDC provider",
            next_step="log in with a password, or set TUNEWAY_OIDC_ISSUER (docs/identity.md)",
        )
    secret = settings.oidc_client_secret_file
    return _provider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        None if secret is None else secret.read_text(encoding="utf-8").strip(),
        settings.oidc_scopes,
        None if settings.oidc_ca_file is None else str(settings.oidc_ca_file),
    )


@lru_cache(maxsize=4)
def _provider(issuer: str, client_id: str, secret: str | None, scopes: str, ca_file: str | None) -> OidcProvider:
    return OidcProvider(issuer, client_id, secret, scopes=scopes, ca_file=ca_file)


def begin_login(redirect_uri: str, tokens: AccessTokens, services: Services, following: str = "") -> tuple[str, str]:
    """Where to send the browser, and what it has to bring back in a cookie. `following`: where it wants to go afterwards."""
    challenge = Challenge.fresh()
    url = provider_of(services.settings).authorization_url(redirect_uri, challenge)
    kept = {
        "state": challenge.state,
        "nonce": challenge.nonce,
        "verifier": challenge.verifier,
        "redirect_uri": redirect_uri,
        "following": following,
    }
    return url, tokens.seal(kept)


def finish_login(
    code: str, state: str, cookie: str, tokens: AccessTokens, services: Services, *, source: str = ""
) -> tuple[TokenPair, str]:
    """A session for whoever the provider says it is, and where the browser wanted to go.

    Raises UnauthorizedError, ForbiddenError for somebody without a role here, ConflictError where the name is taken by
    an account of another kind, UnavailableError.
    """
    kept = tokens.unseal(cookie)
    if not kept or not state or kept["state"] != state:
        raise refused("the login was begun in another browser, or too long ago")
    challenge = Challenge(kept["state"], kept["nonce"], kept["verifier"])
    settings = services.settings
    claims = provider_of(settings).claims(code, kept["redirect_uri"], challenge)
    external_id = f"{settings.oidc_issuer}|{claims['sub']}"
    role = _role(values_of(claims, settings.oidc_roles_claim), settings)
    names = values_of(claims, settings.oidc_username_claim)
    with services.unit_of_work() as uow:
        username = uow.users.of_external(external_id)
        if role is None:
            uow.audit.append(username or "unknown", "login.refused", "oidc", {"why": "no role", "source": source})
    if role is None:
        raise ForbiddenError(
            "The site's provider gives this person no role on this platform",
            allowed=", ".join(settings.oidc_roles) or "nothing: TUNEWAY_OIDC_ROLES is empty",
            next_step="ask for a group that TUNEWAY_OIDC_ROLES names",
        )
    projects = _projects(claims, settings)
    with services.unit_of_work() as uow:
        username = username or _made(names, external_id, uow)
        _follow(username, role, projects, uow)
        if not uow.users.get(username).is_active:
            uow.audit.append(username, "login.refused", f"user/{username}", {"why": "disabled", "source": source})
            pair = None
        else:
            pair = open_session(uow, username, tokens, source=source, by="oidc")
    if pair is None:
        raise UnauthorizedError("The account is disabled", next_step="ask an administrator of this platform")
    return pair, str(kept["following"])


def _role(groups: list[str], settings: Settings) -> Role | None:
    given = {settings.oidc_roles[group] for group in groups if group in settings.oidc_roles}
    return next((role for role in RANK if role.value in given), None)


def _projects(claims: dict[str, object], settings: Settings) -> list[str] | None:
    """None: the provider does not say."""
    if settings.oidc_projects_claim is None:
        return None
    return [one for one in values_of(claims, settings.oidc_projects_claim) if re.fullmatch(PROJECT_PATTERN, one)]


def _made(names: list[str], external_id: str, uow: UnitOfWork) -> str:
    """The name of a new account for somebody who was never here."""
    name = names[0].lower() if names else ""
    if not may_be_named(name):
        raise InvalidRequestError(
            "The provider's user name cannot be one of this platform",
            value=name[:100],
            allowed="2 to 63 small letters, digits, dots, hyphens and underscores; a letter or digit first",
            next_step="choose another claim: TUNEWAY_OIDC_USERNAME_CLAIM",
        )
    if uow.users.credentials(name) is not None:
        # whoever may choose a name at the provider does not become the administrator of the same name here
        raise ConflictError(
            "There is an account of that name already, which is not the provider's",
            value=name,
            next_step="log in with its password, or have it renamed at the provider",
        )
    uow.users.add(name, kind=AccountKind.PERSON, role=Role.VIEWER, projects=[], password_hash=None)
    uow.users.link(name, external_id)
    uow.audit.append("oidc", "user.added", f"user/{name}", {"kind": "person", "external_id": external_id})
    return name


def _follow(username: str, role: Role, projects: list[str] | None, uow: UnitOfWork) -> None:
    """The account as the provider says; audited where something changes."""
    before = uow.users.get(username)
    after = uow.users.change(username, role=role, projects=projects)
    if (before.role, before.projects) != (after.role, after.projects):
        uow.audit.append(
            "oidc",
            "user.granted",
            f"user/{username}",
            {
                "role": after.role.value,
                "projects": list(after.projects),
                "role_before": before.role.value,
                "projects_before": list(before.projects),
            },
        )
