{#-
    The verdict on a KPI: growth against the growth that the target needs (method growth_rate_v1).

    A relation with the columns base_value, base_year, current_value, current_year, target_value,
    target_year, direction_sign and natural_limit comes out with ratio, score, verdict,
    straight_line_*, projected_*, is_* and reasons beside all its own columns. Years are decimals
    (2025-07 is 2025 + 7/12), NULL where unknown. Everything is double precision.
-#}

{#- Whether the target is met, by its operator; direction_sign decides where it is missing. -#}
{% macro is_target_achieved(c='current_value', b='base_value') -%}
    case
        when {{ c }} is null then null
        when operator = '<' then {{ c }} < target_value
        when operator = '<=' then {{ c }} <= target_value
        when operator = '=' then {{ c }} = target_value
        -- A status is 1 where it is confirmed; of two old provinces both have to have it.
        when operator in ('>=', 'status') then {{ c }} >= target_value
        when operator = '>' then {{ c }} > target_value
        when operator in ('between', 'about') and target_low is not null and target_high is not null
            then {{ c }} >= target_low and {{ c }} <= target_high
        when operator = 'about' then round(abs({{ c }} - target_value), decimals::integer) = 0
        when operator = 'decrease' then {{ c }} < {{ b }}
        when operator = 'increase' then {{ c }} > {{ b }}
    end
{%- endmacro %}

{#-
    Number, direction and edge of a target that is a band: the edge that has to be reached from
    outside; from inside the edge that was crossed, else the middle.
-#}
{% macro band_target(part) -%}
    {%- set is_band = "operator in ('between', 'about') and target_low is not null"
        ~ " and target_high is not null" -%}
    {%- set low, high, middle = {
        'value': ('target_low', 'target_high',
            'coalesce(target_value, (target_low + target_high) / 2)'),
        'direction': ('1', '-1', 'direction_sign'),
    }[part] -%}
    {%- set without_band = {'value': 'target_value', 'direction': 'direction_sign'}[part] -%}
    case
        when ({{ is_band }}) is not true then {{ without_band }}
        when base_value < target_low then {{ low }}
        when base_value > target_high then {{ high }}
        when current_value < target_low then {{ low }}
        when current_value > target_high then {{ high }}
        else {{ middle }}
    end
{%- endmacro %}

{#- C: the change without a target that counts as full speed shrinks near a natural limit. -#}
{% macro limit_factor(b, natural_limit) -%}
    case
        when {{ natural_limit }} is null or abs({{ b }}) >= 2 * {{ natural_limit }} then 1
        when abs({{ b }}) <= {{ natural_limit }}
            then 1 - power(abs({{ b }}) / {{ natural_limit }}, 4.44)
        else
            1 - power(
                (2 * {{ natural_limit }} - abs({{ b }})) / {{ natural_limit }}, 4.44
            )
    end
{%- endmacro %}

{#- A class from a score that is a mean over series: achieved only if every series is. -#}
{% macro series_verdict(score, verdict) -%}
    case
        when count({{ score }}) = 0 then 'not_available'
        when bool_and({{ verdict }} = 'achieved') filter (where {{ score }} is not null)
            then 'achieved'
        when avg({{ score }}) >= 2.5 then 'substantial_progress'
        when avg({{ score }}) >= 0 then 'moderate_progress'
        when avg({{ score }}) >= -2.5 then 'limited_progress'
        else 'deterioration'
    end
{%- endmacro %}

{#-
    `is_achieved` and `as_of_year` are SQL over the relation; without them target and direction
    decide. `has_pace`: false where a value is reached in one step, such as a status; then only
    "achieved" decides.
-#}
{% macro progress_verdict(relation, is_achieved=none, as_of_year='current_year', has_pace='true') %}
with

observations as (
    select
        *,
        {{ is_achieved or
            'direction_sign * (current_value - target_value) >= 0' }} as is_achieved,
        {{ as_of_year }} > target_year as is_after_deadline
    from {{ relation }}
),

-- b, c, g, t, d, s and the limit L; a base or a target of 0 counts as 0.001.
symbols as (
    select
        *,
        case
            when base_value = 0 then 0.001
            else base_value
        end::double precision as b,
        current_value::double precision as c,
        case
            when target_value = 0 then 0.001
            else target_value
        end::double precision as g,
        base_value::double precision as b_raw,
        target_value::double precision as g_raw,
        (current_year - base_year)::double precision as elapsed,
        (target_year - base_year)::double precision as span,
        direction_sign::double precision as d,
        case when base_value < 0 then -1 else 1 end::double precision as s,
        natural_limit::double precision as l
    from observations
),

checked as (
    select
        *,
        -- Decimal years carry rounding errors of 1e-13.
        elapsed >= 1 - 1e-9 and b * c >= 0 as is_measurable,
        g is not null as has_target,
        {{ has_pace }} and span > 0 and g <> b and g / b > 0 as is_target_usable
    from symbols
),

measured as (
    select
        *,
        case
            when not coalesce(is_measurable, false) then null
            when not has_target then s * d * (power(c / b, 1 / elapsed) - 1)
            when is_target_usable
                then
                    s * d * (power(c / b, 1 / elapsed) - 1)
                    / abs(power(g / b, 1 / span) - 1)
        end as ratio,
        {{ limit_factor('b', 'l') }} as c_limit,
        case
            when {{ has_pace }} and span > 0 and g_raw is not null
                then b_raw + (g_raw - b_raw) * least(greatest(elapsed, 0) / span, 1)
        end as straight_line_expected,
        case when elapsed >= 1 - 1e-9 then (c - b_raw) / elapsed end as yearly_pace
    from checked
),

judged as (
    select
        *,
        case
            when not coalesce(is_measurable, false) then 'not_available'
            when has_target and is_achieved then 'achieved'
            when ratio is null then 'not_available'
            when has_target then
                case
                    when ratio >= 0.95 then 'substantial_progress'
                    when ratio >= 0.6 then 'moderate_progress'
                    when ratio >= 0 then 'limited_progress'
                    else 'deterioration'
                end
            when ratio < 0 then 'deterioration'
            when ratio >= 0.015 * c_limit then 'substantial_progress'
            when ratio >= 0.005 * c_limit then 'moderate_progress'
            else 'limited_progress'
        end as verdict,
        case
            when c is null then 'not_available'
            when is_achieved then 'achieved'
            when straight_line_expected is null or coalesce(elapsed <= 0, true)
                then 'not_available'
            when d * (c - straight_line_expected) >= 0 then 'on_track'
            else 'behind'
        end as straight_line_verdict,
        c + yearly_pace * (span - elapsed) as projected_raw,
        coalesce(is_achieved and d * (c - b_raw) < 0, false) as is_achieved_but_worsening,
        coalesce(is_after_deadline, false) as is_deadline_passed
    from measured
),

scored as (
    select
        *,
        case
            when verdict = 'not_available' then null
            when verdict = 'achieved' then 5
            when has_target and ratio >= 0.6 then least(7.1429 * ratio - 4.2857, 5)
            when has_target then greatest(4.1667 * ratio - 2.5, -5)
            when ratio < 0 then greatest(125 * ratio - 2.5, -5)
            when c_limit = 0 then 5
            when ratio >= 0.015 * c_limit then least(500 * ratio / c_limit - 5, 5)
            when ratio >= 0.005 * c_limit then 250 * ratio / c_limit - 1.25
            else 500 * ratio / c_limit - 2.5
        end::double precision as score,
        -- A count does not fall below 0, a share does not rise above its limit.
        case
            -- least() passes over NULL: without a pace it would print the limit as a projection.
            when span > elapsed and projected_raw is not null then
                case
                    when b_raw >= 0 and projected_raw < 0 then 0
                    when l is not null and c <= l then least(projected_raw, l)
                    else projected_raw
                end
        end as projected_target_year_value,
        -- Beyond two centuries a straight line says nothing.
        case
            when
                not coalesce(is_achieved, false)
                and yearly_pace * (g_raw - c) > 0
                and (g_raw - c) / yearly_pace <= 200
                then current_year + (g_raw - c) / yearly_pace
        end::double precision as projected_achievement_year
    from judged
),

explained as (
    select
        *,
        case
            when verdict = 'not_available' and c is null
                then 'Chưa đánh giá: không có giá trị hiện tại được công bố.'
            when verdict = 'not_available' and coalesce(elapsed < 1 - 1e-9, true)
                then 'Chưa đánh giá: chưa đủ một năm giữa kỳ gốc và kỳ hiện tại.'
            when verdict = 'not_available' and not is_measurable
                then 'Chưa đánh giá: giá trị gốc và giá trị hiện tại trái dấu.'
            when verdict = 'not_available'
                then 'Chưa đánh giá: từ kỳ gốc không xác định được tốc độ cần thiết để đạt chỉ tiêu.'
            when verdict = 'achieved' and is_achieved_but_worsening
                then 'Đạt chỉ tiêu, nhưng xấu đi so với kỳ gốc.'
            when verdict = 'achieved' then 'Đạt chỉ tiêu.'
            when has_target
                then
                    'Tốc độ thay đổi bằng ' || {{ shown_number('ratio * 100', 'vi') }}
                    || ' % tốc độ cần thiết để đạt chỉ tiêu đúng hạn.'
            else
                'Không có chỉ tiêu bằng số; thay đổi mỗi năm theo hướng mong muốn: '
                || {{ shown_number('ratio * 100', 'vi') }} || ' %.'
        end
        || case
            when is_deadline_passed and not coalesce(is_achieved, false) then ' Đã quá hạn.'
            else ''
        end as reason_vi,
        case
            when verdict = 'not_available' and c is null
                then 'Not assessed: no current value is published.'
            when verdict = 'not_available' and coalesce(elapsed < 1 - 1e-9, true)
                then 'Not assessed: less than a year between base and current period.'
            when verdict = 'not_available' and not is_measurable
                then 'Not assessed: base and current value have opposite signs.'
            when verdict = 'not_available'
                then 'Not assessed: from this base the pace that the target needs is undefined.'
            when verdict = 'achieved' and is_achieved_but_worsening
                then 'Target met, but worse than in the base period.'
            when verdict = 'achieved' then 'Target met.'
            when has_target
                then
                    'Pace of change is ' || {{ shown_number('ratio * 100', 'en') }}
                    || ' % of the pace needed to meet the target in time.'
            else
                'No numeric target; change per year in the wanted direction: '
                || {{ shown_number('ratio * 100', 'en') }} || ' %.'
        end
        || case
            when is_deadline_passed and not coalesce(is_achieved, false)
                then ' The deadline has passed.'
            else ''
        end as reason_en
    from scored
)

select * from explained
{% endmacro %}

{#- A number in a sentence: one decimal, with the language's decimal mark. -#}
{% macro shown_number(expression, language) -%}
    {%- set number = "trim_scale(round((" ~ expression ~ ")::numeric, 1))::text" -%}
    {{ "replace(" ~ number ~ ", '.', ',')" if language == 'vi' else number }}
{%- endmacro %}
