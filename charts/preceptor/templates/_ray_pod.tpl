{{/* The pod of the Ray head or of one worker group: dict root, component, values. */}}
{{- define "preceptor.rayPod" -}}
{{- $root := .root -}}
{{- $head := eq .component "ray-head" -}}
serviceAccountName: {{ include "preceptor.name" $root }}-{{ .component }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 60
{{- include "preceptor.pullSecrets" $root }}
securityContext:
  {{- include "preceptor.podSecurity" $root | nindent 2 }}
containers:
  - name: {{ .component }}
    image: {{ include "preceptor.image" $root.Values.image.ray }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    securityContext:
      {{- include "preceptor.containerSecurity" $root | nindent 6 }}
    env:
      - {name: HOME, value: /tmp}
      - {name: RAY_USAGE_STATS_ENABLED, value: "0"}
      - {name: RAY_SERVE_ENABLE_TASK_EVENTS, value: "0"}
      # HAProxy hands each request straight to the replica; its files are in /tmp.
      - {name: RAY_SERVE_ENABLE_HA_PROXY, value: "1"}
      - {name: RAY_SERVE_HAPROXY_NBTHREAD, value: "1"}
      {{- if not $head }}
      {{- include "preceptor.vaultEnv" $root | nindent 6 }}
      {{- end }}
    ports:
      {{- if $head }}
      - {name: gcs-server, containerPort: 6379}
      - {name: dashboard, containerPort: 8265}
      {{- end }}
      - {name: serve, containerPort: 8000}
    {{- if not $head }}
    readinessProbe:
      # The application's own answer, through this node's proxy: 200 only when it can do its work.
      httpGet: {path: /{{ .component }}/healthz, port: serve}
      periodSeconds: 10
      timeoutSeconds: 5
    {{- end }}
    resources:
      {{- toYaml .values.resources | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- if not $head }}
      {{- include "preceptor.vaultMounts" $root | nindent 6 }}
      {{- end }}
      {{- if has .component (list "adapter-serving" "triage") }}
      - {name: models, mountPath: /var/lib/preceptor/models, readOnly: true}
      {{- else if eq .component "retrieval" }}
      - {name: index, mountPath: /var/lib/preceptor/index}
      {{- if .values.opensearch.url }}
      - {name: opensearch, mountPath: /etc/preceptor/opensearch, readOnly: true}
      {{- end }}
      {{- end }}
volumes:
  # Ray's sockets, logs and spilled objects.
  - name: tmp
    emptyDir: {sizeLimit: 4Gi}
  {{- if not $head }}
  {{- include "preceptor.vaultVolumes" $root | nindent 2 }}
  {{- end }}
  {{- if has .component (list "adapter-serving" "triage") }}
  - name: models
    persistentVolumeClaim:
      claimName: {{ .values.modelClaim }}
      readOnly: true
  {{- else if eq .component "retrieval" }}
  - name: index
    persistentVolumeClaim:
      claimName: {{ .values.indexClaim }}
  {{- with .values.opensearch }}
  {{- if .url }}
  - name: opensearch
    projected:
      defaultMode: 0440
      sources:
        - secret:
            name: {{ .certificateSecret }}
            items:
              - {key: ca.crt, path: ca.crt}
              - {key: tls.crt, path: tls.crt}
              - {key: tls.key, path: tls.key}
  {{- end }}
  {{- end }}
  {{- end }}
{{- include "preceptor.scheduling" .values }}
{{- end -}}
