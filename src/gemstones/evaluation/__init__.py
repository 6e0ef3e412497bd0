"""Any causal language model on any text or task, as rows of a run table.

    words → targets (hub, local folders, runs) → revisions → model and tokenizer → windows → losses → table
                                     texts → documents ↗                        tasks → scores ↗

torch and transformers are imported inside functions: what is known of released models (`families`) needs neither.
"""
