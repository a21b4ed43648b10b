import { Bar, BarChart, CartesianGrid, Legend, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts';
import type { StatisticsDay } from '../api.ts';
import { formatDay } from '../format.ts';
import { useApi } from '../use-api.ts';
import { Card } from './card.tsx';

export function DailyTotals() {
  const { data } = useApi<{ days: StatisticsDay[] }>('statistics', '/api/statistics');
  const days = (data?.body.days ?? []).slice(-30).map((day) => ({
    day: formatDay(day.date),
    Completed: day.completedCalls,
    Answered: day.answeredCalls,
    Failed: day.failedCalls,
  }));
  return (
    <Card title="Calls per day" hint="last 30 days, by outcome" answer={data}>
      <div className="chart" role="img" aria-label="Bar chart of calls per day by outcome">
        <ResponsiveContainer width="100%" height="100%">
          <BarChart data={days} margin={{ top: 4, right: 4, bottom: 0, left: -18 }} barCategoryGap="22%">
            <CartesianGrid vertical={false} stroke="#e3e9e7" />
            <XAxis
              dataKey="day"
              tickLine={false}
              axisLine={false}
              fontSize={11}
              minTickGap={28}
              stroke="#5b6b68"
            />
            <YAxis tickLine={false} axisLine={false} fontSize={11} stroke="#5b6b68" allowDecimals={false} />
            <Tooltip cursor={{ fill: '#0f766e0d' }} />
            <Legend iconType="circle" iconSize={8} wrapperStyle={{ fontSize: 12 }} />
            <Bar dataKey="Completed" stackId="calls" fill="#0f766e" isAnimationActive={false} />
            <Bar dataKey="Answered" stackId="calls" fill="#7cc8bc" isAnimationActive={false} />
            <Bar
              dataKey="Failed"
              stackId="calls"
              fill="#d9735b"
              radius={[3, 3, 0, 0]}
              isAnimationActive={false}
            />
          </BarChart>
        </ResponsiveContainer>
      </div>
    </Card>
  );
}
