import './styles/base.css';
import './styles/home.css';
import './styles/watch.css';
import './styles/player.css';
import { App } from './app.js';

const root = document.getElementById('app');
if (root !== null) new App(root);
