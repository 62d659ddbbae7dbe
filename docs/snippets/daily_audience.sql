SELECT stream,
       SUM(passing_by) AS passing_by,
       SUM(interested) AS interested,
       SUM(stop_time * interested) / NULLIF(SUM(interested), 0) AS stop_time
FROM audience_by_hour
WHERE bucket_start >= '{{ data_interval_start.isoformat() }}'
  AND bucket_start < '{{ data_interval_end.isoformat() }}'
GROUP BY stream
