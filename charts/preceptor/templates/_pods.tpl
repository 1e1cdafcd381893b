{{/* What Pod Security `restricted` asks of a pod, and a user that is not root. */}}
{{- define "preceptor.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "preceptor.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* How a pod finds its Vault and proves who it is. PRECEPTOR_VAULT_ROLE is set beside it. */}}
{{- define "preceptor.vaultEnv" -}}
- {name: PRECEPTOR_VAULT_ADDRESS, value: {{ .Values.vault.address | quote }}}
- {name: PRECEPTOR_VAULT_LOGIN, value: kubernetes}
- {name: PRECEPTOR_VAULT_KUBERNETES_TOKEN_FILE, value: /var/run/secrets/preceptor/vault/token}
{{- if .Values.vault.caConfigMap.name }}
- {name: PRECEPTOR_VAULT_CA_FILE, value: /etc/preceptor/vault-ca/ca.crt}
{{- end }}
{{- end -}}

{{- define "preceptor.vaultMounts" -}}
- {name: vault-token, mountPath: /var/run/secrets/preceptor/vault, readOnly: true}
{{- if .Values.vault.caConfigMap.name }}
- {name: vault-ca, mountPath: /etc/preceptor/vault-ca, readOnly: true}
{{- end }}
{{- end -}}

{{/* The token is bound to the Vault's audience: the API server refuses it, so it is worth nothing elsewhere. */}}
{{- define "preceptor.vaultVolumes" -}}
- name: vault-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .Values.vault.audience | quote }}
          expirationSeconds: {{ .Values.vault.tokenExpirationSeconds }}
{{- with .Values.vault.caConfigMap }}
{{- if .name }}
- name: vault-ca
  configMap:
    name: {{ .name }}
    items:
      - {key: {{ .key | quote }}, path: ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{- define "preceptor.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "preceptor.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}
