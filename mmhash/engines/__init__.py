"""mmhash inside LLM servers: one module for each, imported only when it is asked for."""
