{{/* The declarative Serve config: one application per service, each kept on its own worker group by a resource. */}}
{{- define "preceptor.serveConfig" -}}
{{- $root := . -}}
proxy_location: EveryNode
http_options: {host: 0.0.0.0, port: 8000}
logging_config: {enable_access_log: false}
applications:
  {{- range include "preceptor.applications" . | fromYamlArray }}
  {{- $values := index $root.Values .values }}
  - name: {{ .name }}
    route_prefix: /{{ .name }}
    import_path: {{ .importPath }}
    args: {}
    runtime_env:
      env_vars:
        PRECEPTOR_VAULT_ROLE: {{ .name }}
        HF_HUB_OFFLINE: "1"
        TOKENIZERS_PARALLELISM: "false"
        TRANSFORMERS_VERBOSITY: error
        {{- if eq .name "adapter-serving" }}
        PRECEPTOR_ADAPTER_SERVING_MODEL_DIR: /var/lib/preceptor/models/smollm2-135m-instruct
        {{- else if eq .name "retrieval" }}
        PRECEPTOR_RETRIEVAL_INDEX_DIR: /var/lib/preceptor/index
        {{- with $values.opensearch }}
        {{- if .url }}
        PRECEPTOR_RETRIEVAL_ENGINE: opensearch
        PRECEPTOR_RETRIEVAL_OPENSEARCH_URL: {{ .url | quote }}
        PRECEPTOR_RETRIEVAL_OPENSEARCH_TENANT: {{ .tenant | quote }}
        PRECEPTOR_RETRIEVAL_OPENSEARCH_CA_FILE: /etc/preceptor/opensearch/ca.crt
        PRECEPTOR_RETRIEVAL_OPENSEARCH_CERTIFICATE_FILE: /etc/preceptor/opensearch/tls.crt
        PRECEPTOR_RETRIEVAL_OPENSEARCH_KEY_FILE: /etc/preceptor/opensearch/tls.key
        {{- end }}
        {{- end }}
        {{- else if eq .name "triage" }}
        PRECEPTOR_TRIAGE_ENCODER_DIR: /var/lib/preceptor/models/encoder
        {{- end }}
        {{- $prefix := .name | upper | replace "-" "_" }}
        {{- range $name, $value := $values.settings }}
        PRECEPTOR_{{ $prefix }}_{{ upper $name }}: {{ include "preceptor.setting" $value | quote }}
        {{- end }}
    deployments:
      - name: {{ .deployment }}
        num_replicas: {{ $values.replicas }}
        ray_actor_options:
          num_cpus: 0.25
          resources: {"preceptor-{{ .name }}": 1}
  {{- end }}
{{- end -}}
