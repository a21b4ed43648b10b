const places = [
  'Harbour',
  'Northgate',
  'Riverside',
  'Summit',
  'Lakeview',
  'Old Town',
  'Westfield',
  'Pinewood',
  'Sunrise',
  'Granite',
];
const trades = [
  'Insurance',
  'Dental Care',
  'Motors',
  'Energy',
  'Travel',
  'Clinics',
  'Telecom',
  'Credit',
  'Homes',
  'Books',
];
const models = ['Galaxy A54', 'Pixel 8', 'Moto G84', 'Redmi 13', 'Xperia 10', 'Desk phone'];
const goals = [
  'Renewals',
  'Win-back',
  'Appointment reminders',
  'Satisfaction survey',
  'New offer',
  'Overdue invoices',
];

export const accountName = (index: number): string =>
  `${places[index % places.length]} ${trades[Math.floor(index / places.length + index) % trades.length]}`;

export const deviceName = (index: number): string => `${models[index % models.length]} #${100 + index}`;

export const campaignName = (index: number): string =>
  `${goals[index % goals.length]}, ${places[Math.floor(index / goals.length) % places.length]}`;
