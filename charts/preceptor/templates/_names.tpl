{{/* The name of this release's objects; KubeRay adds to it, so it is kept short. */}}
{{- define "preceptor.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 30 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "preceptor.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "preceptor.labels" -}}
{{ include "preceptor.selector" . }}
app.kubernetes.io/part-of: preceptor
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "preceptor.image" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end -}}
{{- end -}}

{{/* The Serve applications: name, values, Serve deployment, module. The only list of them in this chart. */}}
{{- define "preceptor.applications" -}}
- {name: adapter-serving, values: adapterServing, deployment: AdapterServing, importPath: "adapter_serving.deployment:app"}
- {name: retrieval, values: retrieval, deployment: Retrieval, importPath: "retrieval.deployment:app"}
- {name: reconciliation, values: reconciliation, deployment: Reconciliation, importPath: "reconciliation.deployment:app"}
- {name: triage, values: triage, deployment: Triage, importPath: "triage.deployment:app"}
{{- end -}}

{{/* A setting as text. Helm reads every number as a float and would write a large one as 1.048576e+06. */}}
{{- define "preceptor.setting" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}
