"""Write Grafana's dashboard: `python -m monitoring.dashboard` after every change in here."""

from pathlib import Path

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable, Row, ThresholdsConfig
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode, VariableRefresh

TARGET = Path(__file__).parent / "grafana" / "provisioning" / "dashboards" / "roas.json"
SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
STACK = 'environment=~"$environment"'
SERVICES = f'{STACK},service=~"$service"'
WIDTH = 24
GREEN, RED = "green", "red"


def build() -> str:
    """Return the dashboard as JSON."""
    dashboard = (
        Dashboard("ROAS Bot")
        .uid("roas-bot")
        .tags(["roas"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .readonly()
        .with_variable(_variable("environment", "label_values(roas_service_health, environment)"))
        .with_variable(_variable("service", f"label_values(roas_service_health{{{STACK}}}, service)"))
    )
    for add in (_overview, _deployments, _delivery, _services, _trouble, _integration, _redis, _process):
        dashboard = add(dashboard)
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard.build()) + "\n"


def _overview(dashboard: Dashboard) -> Dashboard:
    return (
        dashboard.with_row(Row("At a glance"))
        .with_panel(_figure("Bots up", 'sum(up{job="roas-bot"})', [(None, RED), (1, GREEN)]))
        .with_panel(
            _figure(
                "Unhealthy services",
                f'sum(roas_service_health{{{SERVICES},verdict="unhealthy"}}) or vector(0)',
                [(None, GREEN), (1, RED)],
            )
        )
        .with_panel(_figure("Open alerts", "sum(max by (severity) (roas_alerts_open))", [(None, GREEN), (1, RED)]))
        .with_panel(
            _figure(
                "Deployment success rate, last day",
                f'sum(max by (environment) (roas_deployment_results_last_day{{{STACK},result="succeeded"}}))'
                f" / (sum(max by (environment, result) (roas_deployment_results_last_day{{{STACK}}})) > 0)",
                [(None, RED), (0.95, GREEN)],
                unit="percentunit",
            )
        )
    )


def _deployments(dashboard: Dashboard) -> Dashboard:
    return (
        dashboard.with_row(Row("Deployments"))
        .with_panel(
            _lines("Deployments of the last hour, by outcome")
            .stacking(common.StackingConfig().mode(StackingMode.NORMAL))
            .with_target(
                _query(
                    f"sum by (outcome) (max by (environment, kind, outcome) (roas_deployments_last_hour{{{STACK}}}))",
                    "{{outcome}}",
                )
            )
        )
        .with_panel(
            _lines("Deployment duration of the last hour, 95th percentile", "s").with_target(
                _query(f"max by (kind) (roas_deployment_last_hour_seconds{{{STACK}}})", "{{kind}}")
            )
        )
        .with_panel(
            _lines("Average phase duration, last hour", "s").with_target(
                _query("max by (phase) (roas_phase_last_hour_seconds)", "{{phase}}")
            )
        )
    )


def _delivery(dashboard: Dashboard) -> Dashboard:
    name = "{{environment}}"
    return (
        dashboard.with_row(Row("Delivery, last 30 days"))
        .with_panel(
            _lines("Deployments a day").with_target(
                _query(f"max by (environment) (roas_delivery_deployments_per_day{{{STACK}}})", name)
            )
        )
        .with_panel(
            _lines("Lead time from the commit", "s").with_target(
                _query(f"max by (environment) (roas_delivery_lead_seconds{{{STACK}}})", name)
            )
        )
        .with_panel(
            _lines("Change failure rate", "percentunit").with_target(
                _query(f"max by (environment) (roas_delivery_change_failure_ratio{{{STACK}}})", name)
            )
        )
        .with_panel(
            _lines("Time to restore", "s").with_target(
                _query(f"max by (environment) (roas_delivery_restore_seconds{{{STACK}}})", name)
            )
        )
    )


def _services(dashboard: Dashboard) -> Dashboard:
    name = "{{environment}} {{service}}"
    return (
        dashboard.with_row(Row("Services"))
        .with_panel(
            _lines("Services by verdict")
            .stacking(common.StackingConfig().mode(StackingMode.NORMAL))
            .with_target(_query(f"sum by (verdict) (roas_service_health{{{SERVICES}}})", "{{verdict}}"))
        )
        .with_panel(_lines("CPU", "percentunit").with_target(_query(f"roas_service_cpu_ratio{{{SERVICES}}}", name)))
        .with_panel(_lines("Memory", "bytes").with_target(_query(f"roas_service_memory_bytes{{{SERVICES}}}", name)))
        .with_panel(_lines("Restarts").with_target(_query(f"roas_service_restarts{{{SERVICES}}}", name)))
    )


def _trouble(dashboard: Dashboard) -> Dashboard:
    return (
        dashboard.with_row(Row("Alerts and recovery"))
        .with_panel(_lines("Open alerts").with_target(_query("max by (severity) (roas_alerts_open)", "{{severity}}")))
        .with_panel(
            _lines("Alerts per hour").with_target(
                _query("sum by (source) (increase(roas_alerts_total[1h]))", "{{source}}")
            )
        )
        .with_panel(
            _lines("Recoveries per hour").with_target(
                _query("sum by (outcome) (increase(roas_recoveries_total[1h]))", "{{outcome}}")
            )
        )
    )


def _integration(dashboard: Dashboard) -> Dashboard:
    return (
        dashboard.with_row(Row("Integration"))
        .with_panel(
            _limited("Event latency", 1.0, "s").with_target(
                _query("max(roas_integration_event_latency_seconds)", "slowest subscriber")
            )
        )
        .with_panel(
            _lines("Event latency, 99th percentile", "s")
            .with_target(_query(_ninety_nine("roas_event_handling_seconds"), "event to handled"))
            .with_target(_query(_ninety_nine("roas_projection_delay_seconds"), "change to Redis", "B"))
        )
        .with_panel(
            _limited("Redis sync lag", 0.5, "s").with_target(
                _query("max(roas_integration_state_sync_lag_seconds)", "lag")
            )
        )
        .with_panel(
            _limited("Integration error rate", 0.05, "percentunit").with_target(
                _query("max(roas_integration_error_ratio)", "failed")
            )
        )
        .with_panel(
            _lines("Deployment success rate", "percentunit").with_target(
                _query("min(roas_integration_coordination_success_ratio)", "succeeded")
            )
        )
        .with_panel(
            _lines("Dependency resolution time", "s").with_target(
                _query("max(roas_integration_dependency_resolution_seconds)", "slowest")
            )
        )
        .with_panel(
            _lines("Integration alerts").with_target(
                _query("max by (alert) (roas_integration_alert_firing)", "{{alert}}")
            )
        )
    )


def _redis(dashboard: Dashboard) -> Dashboard:
    return (
        dashboard.with_row(Row("Journal and Redis sync"))
        .with_panel(
            _lines("Changes a minute")
            .with_target(_query("sum by (type) (rate(roas_journal_changes_total[5m])) * 60", "{{type}}"))
            .with_target(_query("sum(rate(roas_projection_changes_total[5m])) * 60", "written to Redis", "B"))
        )
        .with_panel(
            _lines("Changes not yet in Redis").with_target(_query("max(roas_projection_pending_changes)", "pending"))
        )
        .with_panel(
            _lines("Redis unreachable")
            .with_target(_query("1 - max(roas_projection_up)", "away"))
            .with_target(_query("sum(rate(roas_projection_failures_total[5m]))", "failures a second", "B"))
        )
    )


def _process(dashboard: Dashboard) -> Dashboard:
    return (
        dashboard.with_row(Row("The bot itself"))
        .with_panel(
            _lines("Discord's gateway", "s").with_target(_query("roas_gateway_latency_seconds", "{{instance}}"))
        )
        .with_panel(_lines("Memory", "bytes").with_target(_query("roas_process_resident_memory_bytes", "{{instance}}")))
        .with_panel(
            _lines("CPU", "percentunit").with_target(_query("rate(roas_process_cpu_seconds_total[5m])", "{{instance}}"))
        )
        .with_panel(
            _lines("Events a second, by who handles them").with_target(
                _query("sum by (subscriber) (rate(roas_event_subscriber_handled_total[5m]))", "{{subscriber}}")
            )
        )
        .with_panel(_lines("Versions").with_target(_query("count by (version) (roas_build_info)", "{{version}}")))
    )


def _variable(name: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .query(query)
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def _ninety_nine(histogram: str) -> str:
    return f"histogram_quantile(0.99, sum by (le) (rate({histogram}_bucket[5m])))"


def _query(expression: str, legend: str, reference: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(reference).datasource(SOURCE)


def _figure(title: str, expression: str, steps: list[tuple[float | None, str]], unit: str = "none") -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .datasource(SOURCE)
        .span(WIDTH // 4)
        .height(4)
        .unit(unit)
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds(steps))
        .with_target(_query(expression, ""))
    )


def _lines(title: str, unit: str = "short") -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel = timeseries.Panel().title(title).datasource(SOURCE).span(WIDTH // 3).height(8)
    return panel.unit(unit).min(0).fill_opacity(10).legend(legend)


def _limited(title: str, limit: float, unit: str) -> timeseries.Panel:
    """Draw what must stay below a limit, and the limit."""
    style = common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE)
    return _lines(title, unit).thresholds(_thresholds([(None, GREEN), (limit, RED)])).thresholds_style(style)


def _thresholds(steps: list[tuple[float | None, str]]) -> ThresholdsConfig:
    found = [Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


if __name__ == "__main__":
    TARGET.write_text(build(), encoding="utf-8")
