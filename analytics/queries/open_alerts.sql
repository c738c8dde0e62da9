-- Alerts that were told and hold on.
SELECT rule, subject, since FROM alerts WHERE fired_at IS NOT NULL AND resolved_at IS NULL ORDER BY since
