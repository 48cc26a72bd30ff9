"""Flags in templates.

{% load upshot %}
{% variant "checkout" as v %}{% if v == "treatment" %}...{% endif %}
{% flag "headline" "Welcome" %}
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Library


def variant(context: Context, flag_key: str) -> str | None:
    """The name of the variant that the visitor gets; None where none was chosen."""
    name: str | None = _flags(context).variant(flag_key)
    return name


def flag(context: Context, flag_key: str, default: Any = None) -> Any:
    """The value that the visitor gets."""
    return _flags(context).value(flag_key, default)


def _flags(context: Context) -> Any:
    request = context.get("request")
    if request is None:
        raise ImproperlyConfigured(
            "the template has no request: render it with one, and have "
            "'django.template.context_processors.request' among the context processors"
        )
    if not hasattr(request, "flags"):
        raise ImproperlyConfigured(
            "the request has no flags: add 'upshot_sdk.django.middleware.FlagsMiddleware' to MIDDLEWARE"
        )
    return request.flags


register = Library()
register.simple_tag(takes_context=True)(variant)
register.simple_tag(takes_context=True)(flag)
