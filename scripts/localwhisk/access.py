"""Who may read or run what, and what an action is once its package and binding are looked up.

Rights and look-ups are apart, as in the real server (its EntitlementProvider): the components of a sequence
are checked before it starts, and only looked up while it runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from localwhisk import messages
from localwhisk.catalog import Catalog
from localwhisk.entities import Action, KeyValues, Package, annotation, merged
from localwhisk.errors import ApiError, missing
from localwhisk.identity import Identity
from localwhisk.names import Name


def forbidden(resource: str) -> ApiError:
    """403 naming the resource."""
    return ApiError(403, messages.not_authorized(resource))


def require_owner(identity: Identity, namespace: str, resource: str | None = None) -> None:
    """Only the owner of a namespace may go on; raises 403."""
    if identity.namespace != namespace:
        raise forbidden(resource or namespace)


@dataclass(frozen=True, slots=True)
class Resolved:
    """An action with all its parameters (package < binding < action) and the binding it came through."""

    action: Action
    parameters: KeyValues
    binding: str | None = None

    @property
    def protected(self) -> set[str]:
        """Names of the parameters that no caller may replace; an empty `final` is an unset variable of a manifest, which protects, too."""
        final = annotation(self.action.annotations, "final")
        if final is not True and final != "":
            return set()
        return {pair["key"] for pair in self.parameters if pair["value"] is not None}

    def check_arguments(self, given: Iterable[str]) -> None:
        """Raise 400 for arguments that would replace protected parameters."""
        if not self.protected.isdisjoint(given):
            raise ApiError(400, messages.PARAMETERS_NOT_ALLOWED)


@dataclass(frozen=True, slots=True)
class ResolvedPackage:
    """A package or binding, the package that has the actions, and the parameters of both."""

    package: Package
    provider: Package
    parameters: KeyValues


class Access:
    """Rights of an identity, and look-ups."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def check_package(self, identity: Identity, doc: str) -> None:
        """One's own, or a shared one; of a binding the provider counts, too. Raises 403, 404 or 409."""
        if not self._may_read(identity, doc):
            raise forbidden(doc)

    def check_action(self, identity: Identity, name: Name) -> None:
        """Raise 403, 404 or 409 for an action one may not read and run; that it exists is not checked."""
        self.check_references(identity, [name])

    def check_references(
        self, identity: Identity, actions: Iterable[Name], triggers: Iterable[Name] = ()
    ) -> None:
        """Same for all that an entity refers to; the 403 names all that are refused."""
        refused = {name.doc for name in triggers if name.namespace != identity.namespace}
        for name in actions:
            if name.package is not None:
                self.check_package(identity, name.path)
            elif name.namespace != identity.namespace:
                refused.add(name.doc)
        if refused:
            raise forbidden(", ".join(sorted(refused)))

    def package(self, doc: str) -> ResolvedPackage:
        """A package, through a binding with its provider; raises 404 or 409."""
        package = self._catalog.require(Package, doc)
        if package.binding is None:
            return ResolvedPackage(package, package, package.parameters)
        target = self.package("/".join(package.binding))
        return ResolvedPackage(package, target.provider, merged(target.parameters, package.parameters))

    def resolved(self, name: Name) -> Resolved:
        """An action, whoever asks; raises 404 or 409."""
        if name.package is None:
            action = self._catalog.require(Action, name.doc)
            return Resolved(action, action.parameters)
        found = self.package(name.path)
        action = self._catalog.require(Action, f"{found.provider.doc}/{name.entity}")
        binding = None if found.package is found.provider else found.package.doc
        return Resolved(action, merged(found.parameters, action.parameters), binding)

    def action(self, identity: Identity, name: Name) -> Resolved:
        """An action one may read and run; raises 403, 404 or 409."""
        self.check_action(identity, name)
        return self.resolved(name)

    def _may_read(self, identity: Identity, doc: str) -> bool:
        """Whether a package may be read; what is wrong with others' packages is not told."""
        own = doc.split("/", 1)[0] == identity.namespace
        package = self._catalog.get(doc)
        if isinstance(package, Package):
            if package.binding is None:
                return own or package.publish
            return own and self._may_read(identity, "/".join(package.binding))
        if not own:
            return False
        raise missing() if package is None else ApiError(409, messages.CONFLICT_COLLECTION)
