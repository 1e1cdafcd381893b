"""The FHIR operations: ``/fhir/{ehr_id}/$draft``, ``$check``, ``$ask`` and ``$formulary``.

``table`` lists them; each has its OperationDefinition in ``definitions/`` and its module. Parameters are read by the
definition, so what is documented is what is accepted. ``runner`` authorises, runs and records; ``routes`` is the HTTP
surface, and ``worker`` runs what a client asked for with ``Prefer: respond-async``.
"""
