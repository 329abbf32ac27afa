"""The shop's web."""

from __future__ import annotations

from flask import Flask, request
from shop import Shop


def create_app(shop: Shop) -> Flask:
    """The application, for a shop."""
    app = Flask(__name__)

    @app.post("/signup")
    def sign_up() -> tuple[str, int]:
        shop.sign_up(request.form["address"])
        return "Look into your inbox.\n", 202

    @app.get("/confirm/<token>")
    def confirm(token: str) -> tuple[str, int]:
        return ("Welcome!\n", 200) if shop.confirm(token) else ("Who are you?\n", 404)

    return app
