"""How people and programs come in; no rules of their own."""
