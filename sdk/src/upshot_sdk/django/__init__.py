"""Flags in Django: ``request.flags``, ``{% variant "checkout" %}``, and the client of the process.

    INSTALLED_APPS = [..., "upshot_sdk.django"]
    MIDDLEWARE = [..., "upshot_sdk.django.middleware.FlagsMiddleware"]
    UPSHOT = {"URL": "https://upshot.example.org", "KEY": os.environ["UPSHOT_SERVER_KEY"]}

`docs/web-apps.md` has the rest.
"""
