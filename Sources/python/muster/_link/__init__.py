"""The connection to a coordinator: profiles, TLS, frames both ways, and coming back."""
