"""How the images of the drawn catalogue are made, from cloth to photograph."""
