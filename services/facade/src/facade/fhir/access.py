"""Who calls ``/fhir`` and what of it that caller may do and see.

The token decides: its scopes say which interactions on which types, ``patient/`` scopes are held to the compartment of
the token's patient, granular scopes to what their search parameters find. Several scopes allow what any one allows.
Nothing else allows anything.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fhir_support.errors import FhirError, Forbidden, Unauthorized

from facade.fhir.criteria import Criterion, Facts, Limit, criteria
from facade.fhir.home import Home
from facade.fhir.scopes import Scope, parse_scopes
from facade.fhir.served import SERVED
from facade.fhir.tenants import home_of
from facade.fhir.terms import DateRange, date_range, patients_of, resource_dates, resource_terms

if TYPE_CHECKING:
    from facade.container import Container
    from facade.fhir.access_tokens import TokenClaims

__all__ = ["Access", "access_of", "authorize", "facts_of"]

_NO_TIME = DateRange(0, 0)


@dataclass(frozen=True)
class Access:
    """The decisions for one token.

    ``user`` is the person who acts through the client, where one does; ``patient`` is ``Patient/ID`` at the EHR, the
    one that ``patient/`` scopes are held to.
    """

    ehr_id: str
    client_id: str
    user: str | None
    patient: str | None
    scopes: tuple[Scope, ...]
    home: Home = field(repr=False)
    subject: str | None = None

    def may(self, letter: str, resource_type: str) -> bool:
        """Whether some scope allows the interaction ``letter`` (of ``cruds``) on some resource of the type."""
        return bool(self.limits(letter, resource_type))

    def require(self, letter: str, resource_type: str) -> None:
        """Raise ``Forbidden`` unless ``may``."""
        if not self.may(letter, resource_type):
            needed = f"{resource_type}.{letter}"
            challenge = f'Bearer realm="{self.home.bases[0]}", error="insufficient_scope"'
            raise Forbidden(f"The token has no scope for {needed}.", headers={"WWW-Authenticate": challenge})

    def everything(self, letter: str, resource_type: str) -> bool:
        """Whether the interaction is allowed on every resource of the type, whoever it is about."""
        return any(limit == Limit(None, ()) for limit in self.limits(letter, resource_type))

    def limits(self, letter: str, resource_type: str) -> tuple[Limit, ...]:
        """Return what may be found, scope by scope; a resource must be within one of them. Empty: nothing."""
        found: dict[Limit, None] = {}
        for scope in self._active(letter, resource_type):
            asked = _scope_criteria(scope, resource_type, self.home)
            if asked is not None:
                held = scope.context == "patient" and not _is_shared(resource_type)
                found[Limit(self.patient if held else None, asked)] = None
        return tuple(found)

    def sees(self, resource: Mapping[str, Any], letters: str = "r", about: Iterable[str] = ()) -> bool:
        """Whether this very resource may be seen by one of the interactions ``letters``.

        ``about`` are patients it is about beside those that its elements name (a Provenance names none).
        """
        resource_type = str(resource.get("resourceType"))
        limits = [limit for letter in letters for limit in self.limits(letter, resource_type)]
        if not limits:
            return False
        patients = patients_of(resource, self.home) | frozenset(about)
        facts = facts_of(resource, self.home) if any(limit.criteria for limit in limits) else None
        return any(
            (limit.patient is None or limit.patient in patients)
            and (facts is None or all(one.met(facts) for one in limit.criteria))
            for limit in limits
        )

    @property
    def binding(self) -> str:
        """A digest of whose access this is; what is handed out for one is refused to every other."""
        scopes = sorted(repr(scope) for scope in self.scopes)
        parts = [self.ehr_id, self.client_id, self.subject, self.user, self.patient, scopes]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _active(self, letter: str, resource_type: str) -> Iterable[Scope]:
        """Yield the scopes that speak of it; one for a patient says nothing when the token names none."""
        return (
            scope
            for scope in self.scopes
            if scope.covers(letter, resource_type) and (scope.context != "patient" or self.patient is not None)
        )


def facts_of(resource: Mapping[str, Any], home: Home) -> Facts:
    """Return what criteria look at in ``resource``."""
    updated = date_range(str((resource.get("meta") or {}).get("lastUpdated"))) or _NO_TIME
    return Facts(str(resource.get("id")), updated, resource_terms(resource, home), resource_dates(resource))


def access_of(claims: "TokenClaims", home: Home) -> Access:
    """Return the access that a verified token gives."""
    return Access(
        ehr_id=home.ehr_id,
        client_id=claims.client_id,
        user=claims.user,
        patient=home.patient(claims.patient),
        scopes=parse_scopes(claims.scope),
        home=home,
        subject=claims.subject,
    )


async def authorize(container: "Container", ehr_id: str, authorization: str | None) -> Access:
    """Return the access that the ``Authorization`` header gives at this EHR's base.

    Raises ``NotFound`` (no such EHR), ``Unauthorized`` (401: no token, or not one that is valid here and now),
    ``ServiceUnavailable`` when that cannot be found out. A token without a fitting scope is found out by ``require``.
    """
    home = home_of(container.ehrs, container.settings.public_base_url, ehr_id)
    realm = f'Bearer realm="{home.bases[0]}"'
    if authorization is None:
        raise Unauthorized(headers={"WWW-Authenticate": realm})
    claims = await container.access_tokens.verify(container.ehrs.get(ehr_id), home, authorization)
    if claims is None:
        raise Unauthorized(
            "The access token is not valid here.", headers={"WWW-Authenticate": f'{realm}, error="invalid_token"'}
        )
    return access_of(claims, home)


def _is_shared(resource_type: str) -> bool:
    """Whether a type is about no patient at all (Device: the models that write), so that a patient cannot limit it."""
    served = SERVED.get(resource_type)
    return served is not None and not served.compartment


@lru_cache(maxsize=1024)
def _scope_criteria(scope: Scope, resource_type: str, home: Home) -> tuple[Criterion, ...] | None:
    """Return what a granular scope asks of a type, or None when it asks for something that is not understood here."""
    if not scope.parameters:
        return ()
    if resource_type not in SERVED:
        return None
    try:
        return criteria(resource_type, scope.parameters, home)
    except FhirError:
        return None
