"""How the pictures of the drawn catalogue are made, from cloth to photograph."""
