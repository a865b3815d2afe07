"""A face and its pictures: identity, muscles, skin, hair, and the renderer."""
