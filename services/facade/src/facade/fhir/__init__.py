"""The FHIR R4 server for our own results: the endpoint ``/fhir``.

Every registered EHR has a base of its own, ``{public base}/fhir/{ehr_id}``: its tokens, its resources, its SMART
configuration. Where only one EHR is registered ``{public base}/fhir`` is the same base under a shorter name.
``facade.fhir.tenants`` writes the short form out before routing, so every route here and in ``facade.operations`` is
written once, as ``/fhir/{ehr_id:str}/...`` (``/fhir/{ehr_id:str}/$draft``), and both addresses work. EHR ids are
lower case and begin with a letter or digit, FHIR types are capitalised: no address can mean two things.

In a handler::

    access = await authorize(container, ehr_id, request.headers.get("authorization"))
    access.require("r", "Composition")          # 403 without the scope
    access.sees(resource)                       # patient compartment and granular scopes
    base = request_base(request, container.settings.public_base_url)   # the base the client used
"""
