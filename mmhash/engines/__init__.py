"""mmhash inside LLM servers: a package for each, imported when asked for; adapter.py for all."""
