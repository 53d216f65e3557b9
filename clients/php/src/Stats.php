<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** Statistics of an app. */
final class Stats
{
    /** Groups of the rows: `status` (none), `country`, `purpose` or `template`. */
    public readonly string $by;

    /** Time that a row covers: `5m`, `1h` or `1d`. */
    public readonly string $step;

    /** Start of the first step, UTC with milliseconds. */
    public readonly string $since;

    /** End, exclusive. */
    public readonly string $until;

    /** @var list<StatsRow> by time and group; those without counts are left out */
    public readonly array $rows;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->by = $answer->text('by');
        $this->step = $answer->text('step');
        $this->since = $answer->text('since');
        $this->until = $answer->text('until');
        $this->rows = array_map(static fn (Json $row): StatsRow => new StatsRow($row), $answer->objects('rows'));
    }
}
