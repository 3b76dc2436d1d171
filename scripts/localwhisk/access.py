"""Who may read or run what, and what an action is once its package and binding are looked up."""

from __future__ import annotations

from dataclasses import dataclass

from localwhisk import messages
from localwhisk.catalog import Catalog
from localwhisk.entities import Action, KeyValues, Package, merged
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


class Access:
    """Look-ups with the rights of an identity."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def readable_package(self, identity: Identity, doc: str, namespace: str) -> Package:
        """A package of one's own, or a shared one; raises 403 or 404."""
        package = self._catalog.find(Package, doc)
        if namespace != identity.namespace and (package is None or not package.publish):
            raise forbidden(doc)
        if package is None:
            raise missing()
        return package

    def provider(self, identity: Identity, package: Package) -> Package:
        """The package a binding refers to, or the package itself; raises 403 or 404."""
        if package.binding is None:
            return package
        namespace, name = package.binding
        target = self._catalog.find(Package, f"{namespace}/{name}")
        if target is None:
            raise missing()
        if namespace != identity.namespace and not target.publish:
            raise forbidden(target.doc)
        return target

    def parameters(self, package: Package, provider: Package) -> KeyValues:
        """Parameters of a package or binding, those of the provider first."""
        if package is provider:
            return package.parameters
        return merged(provider.parameters, package.parameters)

    def action(self, identity: Identity, name: Name) -> Resolved:
        """An action one may read and run; raises 403, 404 or 409."""
        if name.package is None:
            require_owner(identity, name.namespace, name.doc)
            action = self._catalog.require(Action, name.doc)
            return Resolved(action, action.parameters)
        package = self.readable_package(identity, name.path, name.namespace)
        return self.in_package(package, self.provider(identity, package), name.entity)

    def in_package(self, package: Package, provider: Package, entity: str) -> Resolved:
        """An action of a package whose rights are settled."""
        action = self._catalog.require(Action, f"{provider.doc}/{entity}")
        parameters = merged(self.parameters(package, provider), action.parameters)
        return Resolved(action, parameters, None if package is provider else package.doc)
