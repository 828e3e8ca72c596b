/**
 * Requests, losses and errors of a site's links in each of its minutes from {first} to {last} (seconds, both included):
 * totals less those of the minute before, as in view `links_minute`, where a link that nothing is known of then adds
 * nothing. Apart from the view, whose condition on time can't reach the minute before in the index.
 */
export const LINK_DELTAS = `
  SELECT site, minute,
    sum(requests_max - least(before.2, requests_max)) AS requests,
    sum(losses_max - least(before.3, losses_max)) AS losses,
    sum(errors_max - least(before.4, errors_max)) AS errors
  FROM (
    SELECT l.site AS site, l.minute AS minute, requests_max, losses_max, errors_max,
      arrayFirst(total -> total.1 = l.epoch, p.totals) AS before
    FROM (
      SELECT site, link, minute, epoch, requests_max, losses_max, errors_max
      FROM plumbline.links_minute_agg FINAL
      WHERE minute >= toDateTime({first:UInt32}) AND minute <= toDateTime({last:UInt32})
    ) AS l
    INNER JOIN (
      SELECT site, link, minute + 60 AS minute, groupArray((epoch, requests_max, losses_max, errors_max)) AS totals
      FROM plumbline.links_minute_agg FINAL
      WHERE minute >= toDateTime({first:UInt32} - 60) AND minute <= toDateTime({last:UInt32} - 60)
      GROUP BY site, link, minute
    ) AS p ON p.site = l.site AND p.link = l.link AND p.minute = l.minute)
  GROUP BY site, minute`;
