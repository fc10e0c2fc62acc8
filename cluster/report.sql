-- Questions of the report, over the golden, activities and matches of a finished run. A line "-- name:" begins each. Time is moving
-- time, and elapsed where a source does not say that.

-- name: totals
SELECT count(*) AS workouts, count(DISTINCT user_id) AS people, round(sum(distance_m) / 1000) AS km,
       round(sum(coalesce(moving_s, elapsed_s)) / 3600) AS hours, count_if(size(members) > 1) AS shared
FROM golden;

-- name: before removing duplicates
SELECT count(*) AS records, round(sum(distance_m) / 1000) AS km, round(sum(coalesce(moving_s, elapsed_s)) / 3600) AS hours
FROM activities WHERE gone_at IS NULL;

-- name: sources
WITH taken AS (SELECT user_id, explode(members) AS member, size(members) AS records FROM golden)
SELECT member.source, count(*) AS records, count(DISTINCT user_id) AS people, count_if(records > 1) AS in_another_too
FROM taken GROUP BY member.source ORDER BY records DESC, member.source;

-- name: sports
SELECT sport, count(*) AS workouts, round(sum(distance_m) / 1000) AS km FROM golden GROUP BY sport ORDER BY workouts DESC, sport;

-- name: years
SELECT year(start_time + make_dt_interval(0, 0, 0, coalesce(utc_offset_s, 0))) AS year, count(*) AS workouts,
       round(sum(distance_m) / 1000) AS km
FROM golden GROUP BY 1 ORDER BY 1;

-- name: pairs
SELECT source_a, source_b, decision, count(*) AS pairs FROM matches GROUP BY ALL ORDER BY source_a, source_b, decision;

-- name: conflicts
SELECT conflict.field, conflict.kind, count(*) AS times FROM (SELECT explode(conflicts) AS conflict FROM golden)
GROUP BY ALL ORDER BY times DESC, conflict.field, conflict.kind;
