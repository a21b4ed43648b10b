import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { DeviceApp } from './device-app.tsx';
import '../page.css';
import './device.css';

const root = document.getElementById('root');
if (!root) throw new Error('The page has no element with the id "root"');
createRoot(root).render(
  <StrictMode>
    <DeviceApp />
  </StrictMode>,
);
