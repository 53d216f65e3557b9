{{/* Helpers take (list $ "api") or (list $ "worker"). */}}

{{- define "isms-otp.name" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s" ($root.Release.Name | trunc 50 | trimSuffix "-") (index . 1) -}}
{{- end -}}

{{- define "isms-otp.instance" -}}
app.kubernetes.io/name: isms-otp
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "isms-otp.selector" -}}
{{ include "isms-otp.instance" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "isms-otp.labels" -}}
{{- $root := index . 0 -}}
{{ include "isms-otp.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "isms-otp.podMetadata" -}}
{{- $root := index . 0 -}}
labels: {{- include "isms-otp.labels" . | nindent 2 }}
annotations:
  # Pods are replaced when a setting changes.
  checksum/settings: {{ toJson $root.Values.settings | sha256sum }}
  {{- if not $root.Values.podMonitor.enabled }}
  prometheus.io/scrape: "true"
  prometheus.io/port: "9464"
  {{- end }}
{{- end -}}

{{- define "isms-otp.podSpec" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: false
# A Service's variables could have the name of a setting.
enableServiceLinks: false
securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: RuntimeDefault } }
{{- with $root.Values.secrets.apps }}
volumes: [{ name: apps, secret: { secretName: {{ . }} } }]
{{- end }}
{{- with $root.Values.podSpec }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "isms-otp.container" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
name: {{ $component }}
image: {{ printf "%s:%s" $root.Values.image.repository ($root.Values.image.tag | default $root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: [{{ $component }}]
envFrom:
  - configMapRef: { name: {{ include "isms-otp.name" (list $root "settings") }} }
  - secretRef: { name: {{ $root.Values.secrets.shared }} }
  {{- if eq $component "api" }}
  # What no worker needs.
  - secretRef: { name: {{ $root.Values.secrets.api }} }
  {{- end }}
{{- if $root.Values.secrets.apps }}
env: [{ name: APPS_FILE, value: /etc/isms-otp/apps.json }]
volumeMounts: [{ name: apps, mountPath: /etc/isms-otp, readOnly: true }]
{{- end }}
resources: {{- toYaml (index $root.Values $component).resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* PodDisruptionBudget and, if enabled, HorizontalPodAutoscaler. */}}
{{- define "isms-otp.availability" -}}
{{- $root := index . 0 -}}
{{- $autoscaling := (index $root.Values (index . 1)).autoscaling -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "isms-otp.name" . }}
  labels: {{- include "isms-otp.labels" . | nindent 4 }}
spec:
  # One at a time, also when there is only one: then nodes can still be drained.
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "isms-otp.selector" . | nindent 6 }}
{{- if $autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "isms-otp.name" . }}
  labels: {{- include "isms-otp.labels" . | nindent 4 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ include "isms-otp.name" . }} }
  minReplicas: {{ $autoscaling.minReplicas }}
  maxReplicas: {{ $autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: { type: Utilization, averageUtilization: {{ $autoscaling.targetCPUUtilizationPercentage }} }
{{- end }}
{{- end -}}
