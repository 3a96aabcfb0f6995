"""What a user's project has, and what `init` writes into it. The project is read as text; nothing of it runs."""
